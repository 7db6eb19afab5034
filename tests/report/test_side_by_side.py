"""Several runs in one report: side by side stands only what the same images judged, in comparable times."""

import base64
import dataclasses

import pytest
from support.synthetic_runs import ENVIRONMENT, Model, dataset, make_run

from mnistbench.analysis.contents import read_contents
from mnistbench.errors import UsageError
from mnistbench.report import write_side_by_side
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Published, Status

MODELS = {"cnn": Model(0.02, 20), "svm": Model(0.05, 5)}


def runs(place, *names, **more):
    return [make_run(place, MODELS, name=name, **more) for name in names]


def moved(folder, host):
    """Let a run have been made on another machine."""
    for name in ("run.json", "records.jsonl"):
        path = folder.path / name
        path.write_text(path.read_text().replace(ENVIRONMENT.host, host).replace("0.1.0", "0.2.0"))
    return RunFolder(folder.path)


def test_runs_of_one_machine_are_compared_in_seconds(tmp_path):
    before, after = runs(tmp_path, "before", "after")
    text = write_side_by_side([before, after], tmp_path / "both").read_text(encoding="utf-8")
    assert "A: fit, s" in text
    assert "B against A" in text
    assert "practically the same" in text
    assert "the whole 95 % interval lies within 0.2 points" in text
    assert text.count("cnn is best") == 2
    assert f"`mnistbench compare {before.path} {after.path}` says whether" in text
    assert "mnistbench 0.1.0" not in text  # libraries that are the same are left out
    html = (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert "B: predict, s" in html
    assert not (tmp_path / "both" / "run.json").exists()


def test_runs_of_two_machines_are_compared_in_calibration_units_or_not_at_all(tmp_path):
    here, there = runs(tmp_path, "here", "there", calibrated=True)
    text = write_side_by_side([here, moved(there, "bench-2")], tmp_path / "both").read_text(encoding="utf-8")
    assert "A: fit, units" in text
    assert "made on different machines" in text
    assert "| bench-1" in text
    assert "| bench-2" in text
    assert "| mnistbench" in text
    (uncalibrated,) = runs(tmp_path, "uncalibrated")
    text = write_side_by_side([here, moved(uncalibrated, "bench-3")], tmp_path / "none").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| cnn") and line.count("|") == 6)
    assert row.split("|")[4:6] == [cell.rjust(len(cell)) for cell in row.split("|")[4:6]]
    assert "\N{EM DASH}" in row.split("|")[4]


def test_a_run_of_two_machines_is_compared_in_calibration_units(tmp_path):
    one, two = runs(tmp_path, "one", "two", calibrated=True)
    first, last = (two.path / "records.jsonl").read_text().splitlines()
    (two.path / "records.jsonl").write_text(f"{first}\n{last.replace(ENVIRONMENT.host, 'bench-2')}\n")
    text = write_side_by_side([one, two], tmp_path / "both").read_text(encoding="utf-8")
    assert "A: fit, units" in text
    assert "bench-1 and 1 more" in text


def test_validation_and_other_data_never_stand_beside_test_results(tmp_path):
    (test,) = runs(tmp_path, "test")
    (validation,) = runs(tmp_path, "validation", split="validation")
    other = dataclasses.replace(dataset(), title="Fashion", sha256="f" * 64)
    (fashion,) = runs(tmp_path, "fashion", data=other)
    text = write_side_by_side([test, validation, fashion], tmp_path / "all").read_text(encoding="utf-8")
    assert text.count("\n## ") == 3
    assert "Validation images, not test images" in text
    assert "against" not in text
    assert "are not compared" in text


def on_data_sets(place, count):
    """Run three models on so many data sets, each less accurate than on the one before."""
    return [
        make_run(
            place,
            {
                "cnn": Model(0.02 * number, 20, published=(Published(0.9512, "a table"),)),
                "svm": Model(0.05 * number, 5),
                "rf": Model(0.06 * number),
                "ridge": Model(0.2, 1, statuses=(Status.CRASHED,) if number == 1 else ()),
            },
            name=f"on {number}",
            data=dataclasses.replace(
                dataset(), name=f"set{number}", title=f"Set {number}", sha256=f"{number}" * 64
            ),
        )
        for number in range(1, count + 1)
    ]


def test_models_are_compared_across_data_sets(tmp_path):
    folders = on_data_sets(tmp_path, 5)
    again = make_run(tmp_path, MODELS, name="again", data=folders[0].info().dataset)
    page = write_side_by_side([*folders, again], tmp_path / "all")
    text = page.read_text(encoding="utf-8").partition("## Across data sets")[2].partition("\n## ")[0]
    frame = read_contents(folders[4]).frames["results"].set_index("row")
    assert "set5, %" in text
    assert f"{100 * frame.loc['cnn', 'accuracy']:.1f} (95.12)" in text
    assert "set5: fit, s" in text
    assert "Average ranks over 5 data sets" in text
    assert "the models differ" in text
    assert "no result on some data set: ridge." in text
    drawn = (tmp_path / "all" / "ranks.svg").read_text(encoding="utf-8")
    assert ">ridge<" not in drawn
    assert [name for name in ("cnn", "svm", "rf") if f">{name}<" in drawn] == ["cnn", "svm", "rf"]
    html = (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    assert "Across data sets" in html
    assert base64.b64encode(drawn.encode()).decode() in html


def test_few_data_sets_have_no_ranks_and_other_machines_no_times(tmp_path):
    one, two, *_ = on_data_sets(tmp_path, 4)
    page = write_side_by_side([one, moved(two, "bench-2")], tmp_path / "two")
    text = page.read_text(encoding="utf-8").partition("## Across data sets")[2].partition("\n## ")[0]
    assert "Average ranks are left out: with 2 data sets" in text
    assert "made on different machines" in text
    assert "fit, s" not in text
    assert not (tmp_path / "two" / "ranks.svg").exists()


def test_names_show_as_text(tmp_path):
    models = {"<b>x</b>": Model(summary="|[a](b)")}
    folders = [make_run(tmp_path, models, name=name) for name in ("one", "two")]
    page = write_side_by_side(folders, tmp_path / "both")
    assert r"\<b\>x\</b\>" in page.read_text(encoding="utf-8")
    assert "<b>x" not in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")


def test_what_makes_no_sense_is_refused(tmp_path):
    one, two = runs(tmp_path, "one", "two")
    with pytest.raises(UsageError, match="named twice"):
        write_side_by_side([one, one], tmp_path / "both")
    with pytest.raises(UsageError, match="is a run's folder"):
        write_side_by_side([one, two], one.path)
