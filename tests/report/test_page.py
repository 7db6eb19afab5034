"""A report says what the run folder holds: all of it, whatever state it is in, and nothing else."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from support import synthetic_runs
from support.synthetic_runs import Model, dataset, make_run, true_labels

from mnistbench.analysis import correctness
from mnistbench.analysis.configurations import configurations
from mnistbench.analysis.costs import time_trust
from mnistbench.datasets.holdout import described
from mnistbench.datasets.idx import idx_sha256
from mnistbench.errors import MnistbenchError
from mnistbench.report import write_report
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import encode_predictions
from mnistbench.runs.records import Published, Status
from mnistbench.stats.scores import MNIST_TEST_LABEL_ERRORS
from mnistbench.text import MISSING, three_digits

GOOD = {"svm": Model(0.02, 38, probabilities=False), "cnn": Model(0.01, 12), "logreg": Model(0.08, 8)}


def rendered(page: Path) -> str:
    return MarkdownIt("commonmark").enable("table").render(page.read_text(encoding="utf-8"))


def rows_of(page: Path, after: str) -> list[list[str]]:
    """Return the cells of the first table that follows a heading."""
    text = page.read_text(encoding="utf-8").partition(after)[2]
    lines = text.partition("\n\n|")[2].partition("\n\n")[0].split("\n")
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def check_links(page: Path) -> None:
    links = re.findall(r'(?:src|href)="([^"]+)"', rendered(page))
    assert links
    for target in map(unquote, links):
        assert (page.parent / target).is_file(), target


def test_a_run_of_three_models_is_reported(tmp_path):
    folder = make_run(tmp_path, GOOD)
    page = write_report(folder, tmp_path)
    assert page == folder.path / "report.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# MNIST: benchmark of 2026-03-14\n")
    records = {r.trial.model: r for r in folder.records()}
    table = rows_of(page, "## Results")
    assert [row[0] for row in table] == ["cnn", "svm", "logreg"]
    for row in table:
        quality = records[row[0]].quality
        assert row[1].startswith(f"{100 * quality.accuracy:.1f} (")
        assert row[2] == str(quality.error_count)
        assert row[-1] == "ok"
    for name in GOOD:
        assert f"### {name}\n" in text
        assert (folder.path / "figures" / f"confusion-{name}.svg").is_file()
    assert "mnistbench run --suite standard" in text
    assert "mnistbench repeat run" in text
    assert folder.info().dataset.sha256 in text
    assert "Example CPU" in text
    assert "0123456789ab" in text
    assert "numpy 2.4.6" in text
    check_links(page)


def test_the_newest_run_is_the_report_of_all(tmp_path):
    older, newer = make_run(tmp_path, GOOD, name="older"), make_run(tmp_path, GOOD, name="newer run")
    write_report(newer, tmp_path)
    write_report(older, tmp_path)
    page = tmp_path / "report.md"
    assert "Run `newer run`" in page.read_text(encoding="utf-8")
    check_links(page)
    write_report(older, None)
    assert "Run `newer run`" in page.read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_bytes_and_figures_of_an_earlier_report_go_away(tmp_path):
    def content() -> dict[str, bytes]:
        write_report(folder, None)
        made = [*folder.path.glob("figures/*"), *folder.path.glob("tables/*"), folder.path / "report.md"]
        return {str(path): path.read_bytes() for path in made}

    folder = make_run(tmp_path, GOOD)
    before = content()
    (folder.path / "figures" / "confusion-gone.svg").write_text("<svg/>")
    notes = folder.path / "figures" / "notes.txt"
    notes.write_text("mine")
    assert content() == before | {str(notes): b"mine"}


def test_failures_have_a_cause_a_log_and_a_way_to_run_them_again(tmp_path):
    models = {s.value: Model(statuses=(s,)) for s in Status if s is not Status.OK}
    folder = make_run(tmp_path, {"good": Model(), **models})
    page = write_report(folder, None)
    text = page.read_text(encoding="utf-8")
    counts = "1 ok, 1 failed, 1 crashed, 1 timed out, 1 out of memory, 1 invalid, 1 unavailable"
    assert f"9 trials ({counts}, 1 left out, 1 refused)" in text
    for record in folder.records():
        if record.failure is not None:
            assert f"mnistbench run --trial run/{record.trial.id}" in text
            assert record.failure.kind in text
    assert text.count("and then it stopped") == 8
    assert rows_of(page, "## Results")[0][0] == "good"


FAILS, WAITS = Model(statuses=(Status.FAILED,)), Model(statuses=(None,))


@pytest.mark.parametrize(
    ("models", "headline", "states"),
    [
        (
            {"a": FAILS, "b": Model(statuses=(Status.TIMEOUT,))},
            "No trial succeeded: 1 failed, 1 timed out.",
            None,
        ),
        ({"a": WAITS}, "No trial has ended yet.", ["not run"]),
        ({"svm": Model(0.02), "late": WAITS}, "The run is incomplete:", ["ok", "not run"]),
        ({"a": Model(0.0)}, "a is best", ["ok"]),
        ({"a": Model(1.0, probabilities=False)}, "a is best", ["ok"]),
    ],
    ids=["failures only", "nothing yet", "half-finished", "no mistakes", "mistakes only"],
)
def test_a_run_in_any_state_is_reported(tmp_path, models, headline, states):
    folder = make_run(tmp_path, models, data=dataset(test_count=100))
    page = write_report(folder, None)
    text, html = (path.read_text(encoding="utf-8") for path in (page, page.with_suffix(".html")))
    assert headline in text
    assert headline in html
    assert all(name in html for name in models)
    waiting = sum(model is WAITS for model in models.values())
    assert (f"{waiting} of {len(models)} trials have not run" in text) == bool(waiting)
    assert ("svg" in text) == ("ok" in (states or []))
    if states:
        assert [(row[0], row[-1]) for row in rows_of(page, "## Results")] == [
            *zip(models, states, strict=True)
        ]


@pytest.fixture(scope="module")
def of_seeds(tmp_path_factory) -> RunFolder:
    """A run of three models with three seeds each, reported."""
    folder = make_run(tmp_path_factory.mktemp("seeds"), GOOD, seeds=(0, 1, 2))
    write_report(folder, None)
    return folder


def test_several_seeds_keep_two_sources_of_variation_apart(of_seeds):
    folder, page = of_seeds, of_seeds.path / "report.md"
    frame = pd.read_csv(folder.path / "tables" / "results.csv").set_index("row")
    accuracies = [r.quality.accuracy for r in folder.records() if r.trial.model == "cnn"]
    assert frame.loc["cnn", "seeds"] == 3
    assert frame.loc["cnn", "accuracy"] == pytest.approx(sum(accuracies) / 3)
    assert frame.loc["cnn", "training_sd"] == pytest.approx(pd.Series(accuracies).std())
    head = page.read_text(encoding="utf-8").partition("| model")[2].split("\n")[0]
    assert "accuracy, % (95 %: images)" in head
    assert "seeds: ± (n)" in head
    cells = {row[0]: row for row in rows_of(page, "## Results")}
    mean = frame.loc["cnn"]
    assert cells["cnn"][1].startswith(f"{100 * mean['accuracy']:.1f} (")
    assert cells["cnn"][2] == f"{100 * (mean['training_high'] - mean['accuracy']):.1f} (3)"


def test_published_accuracies_stand_beside_ours_with_their_sources(tmp_path):
    paper, table = Published(0.973, "A <paper>"), Published(0.9914, "a table")
    models = {
        "cnn": Model(0.01, published=(table,)),
        "svm": Model(0.02, published=(paper, Published(0.97, "a table"))),
        "own": Model(0.05),
    }
    folder = make_run(tmp_path, models, train_sizes=(500, None))
    page = write_report(folder, None)
    frame = pd.read_csv(folder.path / "tables/results.csv").set_index("row")
    assert frame.loc["svm (all images)", ["published", "published_1", "published_2"]].tolist() == [
        0.973, 0.97, 0.973,
    ]  # fmt: skip
    cells = {
        row[0]: row[2].replace("\\", "").replace("\N{NO-BREAK SPACE}", " ")
        for row in rows_of(page, "## Results")
    }
    assert cells["cnn (all images)"] == "99.14 [1]"
    assert cells["svm (all images)"] == "97.0 [1], 97.3 [2]"
    assert {cells[row] for row in ("own (all images)", "svm (500 images)", "cnn (500 images)")} == {"—"}
    assert "[1] a table; [2] A &lt;paper&gt;." in rendered(page)
    assert "[1] a table; [2] A &lt;paper&gt;." in (folder.path / "report.html").read_text(encoding="utf-8")
    validation = make_run(tmp_path, models, name="validation", split="validation")
    assert "ublished" not in write_report(validation, None).read_text(encoding="utf-8")


def test_variants_sizes_and_threads_have_rows_of_their_own(tmp_path):
    folder = make_run(
        tmp_path,
        {"svm": Model(0.02), "logreg": Model(0.08)},
        variants={"svm": [{"C": 1.0, "gamma": "scale"}, {"C": 10.0, "gamma": "scale"}]},
        train_sizes=(500, None),
        threads=(1, 2),
        repeats=2,
    )
    page = write_report(folder, None)
    labels = {row[0] for row in rows_of(page, "## Results")}
    assert len(labels) == 12
    assert "svm (C=1, 500 images, 1 thread)" in labels
    assert "logreg (all images, 2 threads)" in labels
    check_links(page)


def test_digits_instead_of_mnist_cannot_be_missed(tmp_path):
    data = dataset(test_count=360, name="digits", title="digits", fallback_reason="no mirror answered")
    folder = make_run(tmp_path, {**GOOD, "bad": Model(statuses=(Status.FAILED,))}, data=data)
    text = write_report(folder, None).read_text(encoding="utf-8")
    assert "INSTEAD OF MNIST" in text.split("\n")[0]
    assert "> **This is not MNIST.** MNIST was unavailable, so the run used digits instead" in text
    assert "The reason: no mirror answered.\n" in text
    tables = re.findall(r"^(.*)\n\n\|", text, re.MULTILINE)
    assert len(tables) == 10
    assert all("(digits instead of MNIST)" in caption for caption in tables)
    for path in folder.path.glob("tables/*.csv"):
        assert set(pd.read_csv(path)["dataset"]) <= {"digits instead of MNIST"}


@pytest.mark.parametrize("holdout", ["last", "groups-0123456789ab"])
def test_validation_cannot_be_taken_for_a_test_and_names_its_hold_out(tmp_path, holdout):
    folder = make_run(tmp_path, GOOD, split="validation")
    plan = folder.path / "run.json"
    plan.write_text(plan.read_text().replace('"holdout": "last"', f'"holdout": "{holdout}"'))
    text = write_report(folder, None).read_text(encoding="utf-8")
    assert f"trained without {described(holdout)} and evaluated on them" in text
    assert f"trained without {described(holdout)} and evaluated" in (folder.path / "report.html").read_text()
    assert "VALIDATION IMAGES" in text.split("\n")[0]
    assert "errors in 1,000 validation images" in text
    assert all(
        "validation images, not test images" in c for c in re.findall(r"^(.*)\n\n\|", text, re.MULTILINE)
    )
    assert set(pd.read_csv(folder.path / "tables" / "trials.csv")["split"]) == {"validation"}


@pytest.mark.parametrize("classes", [range(4, 64), [3]], ids=["60", "1"])
def test_any_number_of_classes_is_drawn(tmp_path, classes):
    folder = make_run(tmp_path, {"svm": Model(0.1)}, data=dataset(classes=classes, test_count=400))
    write_report(folder, None)
    drawn = ElementTree.fromstring(
        (folder.path / "figures" / "confusion-svm.svg").read_text(encoding="utf-8")
    )
    assert drawn.tag.endswith("svg")


def test_names_and_messages_show_as_text(tmp_path):
    nasty = 'x\x1b[31m<img src=x onerror=alert(1)>|**b** $x$ ![i](http://e) `c` {{ 7*7 }} "'
    models = {"a|b<i>": Model(0.02, summary=nasty, warnings=(nasty,)), "../up": Model(0.03)}
    data = dataset(name="d|<b>", title=f"title {nasty}", source=nasty, licence=nasty)
    folder = make_run(tmp_path, models, data=data, command=("run", "--dataset", nasty))
    page = write_report(folder, tmp_path)
    made = rendered(page)
    assert "<img src=x" not in made
    assert "<b>" not in made
    assert "49" not in re.sub(r"\d*\.\d+|[\d,]+", "", made)
    assert made.count("&lt;img src=x onerror=alert(1)&gt;") >= 6
    for path in [page, *folder.path.glob("tables/*"), *folder.path.glob("figures/*")]:
        assert "\x1b" not in path.read_text(encoding="utf-8")
    assert all(path.parent == folder.path / "figures" for path in folder.path.glob("figures/**/*"))
    for path in folder.path.glob("figures/*.svg"):
        ElementTree.fromstring(path.read_text(encoding="utf-8"))


def test_missing_and_damaged_predictions_cost_only_their_figure(tmp_path):
    folder = make_run(tmp_path, GOOD)
    first, second, _ = folder.records()
    (folder.path / "predictions" / f"{first.trial.id}.npz").unlink()
    (folder.path / "predictions" / f"{second.trial.id}.npz").write_bytes(b"PK rubbish")
    text = write_report(folder, None).read_text(encoding="utf-8")
    assert "No confusion matrix for cnn, svm" in text
    assert "figures/confusion-logreg.svg" in text


def test_named_classes_have_their_names_in_every_table_figure_and_page(tmp_path):
    data = dataset((3, 5, 8), class_names=("ankle boot", "coat", "T-shirt/top"))
    folder = make_run(tmp_path, {"cnn": Model(0.3)}, data=data)
    page = write_report(folder, None)
    assert [row[0] for row in rows_of(page, "**F1 of each class, %**")] == list(data.class_names)
    assert {row[0] for row in rows_of(page, "**Most frequent confusions of cnn**")} <= set(data.class_names)
    figure = (folder.path / "figures" / "confusion-cnn.svg").read_text(encoding="utf-8")
    written = (folder.path / "report.html").read_text(encoding="utf-8")
    for name in data.class_names:
        assert figure.count(f">{name}<") == 2
        assert written.count(f'<th scope="row">{name}</th>') == 2
    assert re.search("true ankle boot, predicted (coat|T-shirt/top)", written)


def test_balanced_accuracy_stands_beside_accuracy_where_classes_differ_in_size(tmp_path, monkeypatch):
    uneven = np.repeat([0, 1, 2], [600, 300, 100])
    heading = "balanced accuracy, %"
    even = make_run(tmp_path / "even", {"cnn": Model(0.3)}, data=dataset((0, 1, 2)))
    assert heading not in write_report(even, None).read_text(encoding="utf-8")
    monkeypatch.setattr(synthetic_runs, "true_labels", lambda data: uneven)
    folder = make_run(tmp_path / "uneven", {"cnn": Model(0.3)}, data=dataset((0, 1, 2)))
    page = write_report(folder, None)
    assert heading in page.read_text(encoding="utf-8")
    recall = folder.records()[0].quality.macro_recall
    assert rows_of(page, "## Quality")[0][2] == f"{100 * recall:.1f}"


def test_a_run_without_labels_is_reported_without_them(tmp_path):
    page = write_report(make_run(tmp_path, GOOD, store_labels=False), None)
    assert "No confusion matrix for cnn, svm, logreg" in page.read_text(encoding="utf-8")
    html = re.sub("<[^>]+>", "", page.with_suffix(".html").read_text(encoding="utf-8"))
    assert "labels.npz are missing" in " ".join(html.split())


def test_a_run_that_was_planned_without_images_to_judge_it_is_reported(tmp_path):
    folder = make_run(tmp_path, {"a": Model(statuses=(Status.FAILED,))}, split="validation")
    folder.write("labels.npz", encode_predictions(np.array([], dtype=np.int64), None))
    assert "a" in [row[0] for row in rows_of(write_report(folder, tmp_path), "## Results")]


def test_an_error_names_damaged_labels(tmp_path):
    folder = make_run(tmp_path, GOOD)
    (folder.path / "labels.npz").write_bytes(b"rubbish")
    with pytest.raises(MnistbenchError, match=r"labels\.npz cannot be read"):
        write_report(folder, None)


def test_a_report_that_cannot_be_written_is_an_error_with_advice(tmp_path):
    folder = make_run(tmp_path, GOOD)
    (folder.path / "figures").write_text("in the way")
    with pytest.raises(MnistbenchError, match="cannot write the report"):
        write_report(folder, None)


def test_csv_holds_the_records_unrounded(of_seeds):
    frame = pd.read_csv(of_seeds.path / "tables" / "trials.csv").set_index("id")
    for record in of_seeds.records():
        row = frame.loc[record.trial.id]
        assert row["accuracy"] == record.quality.accuracy
        assert row["fit_seconds"] == record.measurement.fit_seconds
        assert row["peak_rss_bytes"] == record.measurement.peak_rss_bytes


def test_the_quality_of_probabilities_is_the_records_own(of_seeds):
    folder, page = of_seeds, of_seeds.path / "report.md"
    frame = pd.read_csv(folder.path / "tables" / "quality.csv").set_index("row")
    for name in GOOD:
        qualities = [r.quality for r in folder.records() if r.trial.model == name]
        for score in ("macro_f1", "log_loss", "brier_score", "calibration_error", "top2_accuracy"):
            values = [getattr(q, score) for q in qualities]
            if None in values:
                assert pd.isna(frame.loc[name, score])
            else:
                assert frame.loc[name, score] == pytest.approx(sum(values) / 3)
    assert [row[0] for row in rows_of(page, "## Quality")] == ["cnn", "svm", "logreg"]
    figures = {path.stem for path in folder.path.glob("figures/*.svg")}
    assert {"reliability-cnn", "reliability-logreg", "significance"} <= figures
    assert "reliability-svm" not in figures, "it gives no probabilities"


def test_classes_and_confusions_add_up(of_seeds):
    pairs = pd.read_csv(of_seeds.path / "tables" / "confused_pairs.csv")
    classes = pd.read_csv(of_seeds.path / "tables" / "classes.csv")
    for name in GOOD:
        errors = sum(r.quality.error_count for r in of_seeds.records() if r.trial.model == name)
        assert pairs.loc[pairs["row"] == name, "count"].sum() == errors
        assert classes.loc[classes["row"] == name, "support"].sum() == 3000


def test_statistically_tied_models_share_a_letter(tmp_path):
    models = {"a": Model(0.01), "b": Model(0.011), "far": Model(0.2)}
    folder = make_run(tmp_path, models)
    page = write_report(folder, None)
    ties = {row[0]: row[-2] for row in rows_of(page, "## Results")}
    assert ties == {"a": "a?", "b": "a?", "far": ""}
    text = page.read_text(encoding="utf-8")
    settled = r"about [\d,]+ images would settle it"
    assert re.search(
        rf"\*\*(a|b) leads: .* Cannot tell whether it is better than (a|b) \(.*\); {settled}", text
    )
    assert re.search(rf"Cannot tell: (a and b|b and a) \({settled}\)\.", text)
    pairs = pd.read_csv(folder.path / "tables" / "pairs.csv").set_index(["row_a", "row_b"])
    assert len(pairs) == 3
    assert set(pairs["method"]) == {"exact McNemar"}
    assert not pairs["training_covered"].any()
    assert sorted(pairs["verdict"]) == ["better", "better", "cannot tell"]
    assert pairs["images_to_settle"].notna().tolist() == (pairs["verdict"] == "cannot tell").tolist()


def test_a_wider_margin_makes_them_practically_the_same(tmp_path):
    models = {"a": Model(0.01), "b": Model(0.011), "far": Model(0.2)}
    folder = make_run(tmp_path, models, margin=0.02)
    page = write_report(folder, None)
    assert {row[0]: row[-2] for row in rows_of(page, "## Results")} == {"a": "a", "b": "a", "far": ""}
    text = page.read_text(encoding="utf-8")
    assert re.search(r"\*\*(a|b) leads: .* Practically the same: (a|b) \(", text)
    assert "lies within 2 points" in text
    assert "Cannot tell: " not in text
    html = (folder.path / "report.html").read_text(encoding="utf-8")
    assert "practically the same</td>" in html


def test_known_label_errors_are_left_out_beside_and_not_in_place_of_accuracy(tmp_path, monkeypatch):
    data = dataset(test_count=10_000)
    folder = make_run(tmp_path, {"svm": Model(0.02)}, data=data)
    assert "without label errors" not in write_report(folder, None).read_text(encoding="utf-8")

    monkeypatch.setitem(correctness.MNIST.decoded, "y_test", idx_sha256(true_labels(data)))
    page = write_report(folder, None)
    head = page.read_text(encoding="utf-8").partition("## Quality")[2]
    assert "| accuracy, % | without label errors, % |" in head
    record = folder.records()[0]
    right = folder.predictions(record.trial.id).labels == true_labels(data)
    kept = [right[i] for i in range(10_000) if i not in MNIST_TEST_LABEL_ERRORS]
    row = pd.read_csv(folder.path / "tables" / "quality.csv").iloc[0]
    assert row["accuracy"] == record.quality.accuracy
    assert row["accuracy_without_label_errors"] == pytest.approx(sum(kept) / 9985)


def test_trials_that_failed_alike_are_listed_once(tmp_path):
    folder = make_run(tmp_path, {"hang": Model(statuses=(Status.TIMEOUT,) * 3)}, seeds=(0, 1, 2))
    text = write_report(folder, None).read_text(encoding="utf-8")
    assert text.count("### hang: timed out") == 1
    assert "(3 trials alike)" in text
    assert text.count("mnistbench run --trial run/") == 3


def test_a_long_log_is_cut_and_cannot_leave_its_block(tmp_path):
    folder = make_run(tmp_path, {"bad": Model(statuses=(Status.FAILED,))})
    trial = folder.records()[0].trial
    log = "\n".join(["first line", *["x" * 5000] * 50, "```", "<b>last line</b>"])
    (folder.path / "logs" / f"{trial.id}.log").write_text(log, encoding="utf-8")
    page = write_report(folder, None)
    assert "first line" not in page.read_text(encoding="utf-8")
    assert len(page.read_text(encoding="utf-8")) < 20_000
    assert "&lt;b&gt;last line&lt;/b&gt;" in rendered(page)


def test_times_carry_a_grade_and_its_reasons(tmp_path):
    folder = make_run(tmp_path, GOOD, repeats=3, beside=1, calibrated=True)
    page = write_report(folder, None)
    results = pd.read_csv(folder.path / "tables" / "results.csv").set_index("row")
    graded = time_trust(configurations(folder.info(), folder.records()), folder.sessions())
    for row in rows_of(page, "## Results"):
        fit, predict = graded[row[0]]
        assert row[3].endswith(f"\N{NO-BREAK SPACE}{fit.letter}")
        assert row[4].endswith(f"\N{NO-BREAK SPACE}{predict.letter}")
        assert results.loc[row[0], "fit_trust"] == fit.letter
    because = {(row[0], row[1].split(",")[0]): row[3] for row in rows_of(page, "**Times without grade A**")}
    assert because["cnn", "fit"] == "; ".join(graded["cnn"][0].reasons)
    assert "beside" in because["cnn", "fit"]


def test_repeated_timings_show_their_spread(tmp_path):
    folder = make_run(tmp_path, {"cnn": Model(fit_seconds=12)}, repeats=5)
    page = write_report(folder, None)
    times = pd.Series([r.measurement.fit_seconds for r in folder.records()])
    (row,) = rows_of(page, "**Spread of the timings**")
    assert row[1] == "5"
    assert float(row[2]) == pytest.approx(times.median(), rel=0.005)
    low, high = row[3].split("\N{NON-BREAKING HYPHEN}")
    assert (float(low), float(high)) == pytest.approx((times.min(), times.max()), rel=0.005)
    assert float(row[4]) == pytest.approx(times.quantile(0.75) - times.quantile(0.25), rel=0.005)


def test_times_in_calibration_units_drift_and_overhead_are_reported(tmp_path):
    folder = make_run(tmp_path, GOOD, calibrated=True)
    text = write_report(folder, None).read_text(encoding="utf-8")
    timings = pd.read_csv(folder.path / "tables" / "timings.csv").set_index("row")
    (session,) = folder.sessions()
    unit = (session.before[0].unit_seconds * session.after[0].unit_seconds) ** 0.5
    for record in folder.records():
        units = record.measurement.fit_seconds / unit
        assert timings.loc[record.trial.model, "fit_units"] == pytest.approx(units)
    assert "The machine's speed changed by up to 8.0 % during the run" in text
    assert "The harness took" in text


def test_threads_show_their_speed_up(tmp_path):
    folder = make_run(tmp_path, {"rf": Model()}, threads=(1, 2))
    write_report(folder, None)
    timings = pd.read_csv(folder.path / "tables" / "timings.csv").set_index("threads")
    assert pd.isna(timings.loc[1, "speed_up"])
    times = {r.trial.threads: r.measurement.fit_seconds for r in folder.records()}
    assert timings.loc[2, "speed_up"] == pytest.approx(times[1] / times[2])


def test_latency_throughput_and_cold_start_are_reported(tmp_path):
    folder = make_run(tmp_path, GOOD, serving=True)
    page = write_report(folder, None)
    serving = pd.read_csv(folder.path / "tables" / "serving.csv").set_index("row")
    record = next(r for r in folder.records() if r.trial.model == "cnn")
    inference = record.measurement.inference
    assert serving.loc["cnn", "latency_p50_seconds"] == pytest.approx(np.median(inference.latency_seconds))
    assert serving.loc["cnn", "latencies"] == 100
    for batch in inference.batches:
        shown = serving.loc["cnn", f"images_per_second_{batch.batch_size}"]
        assert shown == pytest.approx(batch.images_per_second)
    assert serving.loc["cnn", "cold_start_seconds"] == 1.4
    assert len(rows_of(page, "**One image at a time")) == 3


def test_commands_lead_to_where_the_run_is(tmp_path):
    models = {"bad": Model(statuses=(Status.FAILED, None))}
    command = ("run", "--results", "my runs", "--seeds", "0-1")
    text = write_report(make_run(tmp_path, models, seeds=(0, 1), command=command), None).read_text("utf-8")
    assert re.search(r"mnistbench run --trial run/[0-9a-f]+ --results 'my runs'", text)
    assert "mnistbench run --resume run --results 'my runs'" in text


def test_a_trial_that_ran_twice_is_marked(tmp_path):
    folder = make_run(tmp_path, {"cnn": Model()}, seeds=(0, 1))
    lines = (folder.path / "records.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace('"attempts":1', '"attempts":2')
    (folder.path / "records.jsonl").write_text("\n".join(lines) + "\n")
    assert "because the first one was lost: cnn, seed 1." in write_report(folder, None).read_text(
        encoding="utf-8"
    )
    assert "cnn, seed 1" in (folder.path / "report.html").read_text(encoding="utf-8")
    assert pd.read_csv(folder.path / "tables" / "trials.csv")["attempts"].tolist() == [1, 2]


def test_learning_curves_give_the_time_to_an_accuracy(tmp_path):
    models = {"fast": Model(0.02, 4), "slow": Model(0.3, 100)}
    folder = make_run(tmp_path, models, seeds=(0, 1, 2), learning=True)
    page = write_report(folder, None)
    table = pd.read_csv(folder.path / "tables" / "time_to_accuracy.csv").set_index("row")
    fits = [r.measurement.fit_seconds for r in folder.records() if r.trial.model == "fast"]
    assert table.loc["fast", "seconds_to_980"] == pytest.approx(np.median(fits))
    assert table.loc["fast", "seconds_to_800"] == pytest.approx(np.median(fits))
    assert pd.isna(table.loc["slow", "seconds_to_800"])
    assert table.loc["slow", "final_accuracy"] == pytest.approx(0.7)
    shown = rows_of(page, "**Seconds of training")
    assert [row[-1] for row in shown] == [three_digits(np.median(fits)), "—"]
    assert "do not choose the length of a training by it" in page.read_text(encoding="utf-8")
    assert (folder.path / "figures" / "learning-curves.svg").is_file()
    assert "learning-curves" not in write_report(make_run(tmp_path, models, name="none"), None).read_text(
        "utf-8"
    )


def test_findings_are_listed_with_their_code(tmp_path):
    models = {"good": Model(0.02), "lazy": Model(0.05, warnings=("ConvergenceWarning: did not converge",))}
    text = write_report(make_run(tmp_path, models), None).read_text(encoding="utf-8")
    assert "## Advice" in text
    listed = text.partition("- `MB104` **not converged**. ")[2].partition("\n\n")[0].split("\n")
    assert listed[1:] == ["  - lazy: its library warned: ConvergenceWarning: did not converge"]


def test_a_copied_run_folder_reports_alone(tmp_path):
    folder = make_run(tmp_path / "results", GOOD)
    moved = tmp_path / "elsewhere"
    folder.path.rename(moved)
    check_links(write_report(RunFolder(moved), tmp_path / "results"))


def test_a_run_of_three_sizes_shows_how_cost_and_accuracy_grow(tmp_path):
    models = {**GOOD, "perfect": Model(error_rate=0.0)}  # no law of errors: there are none
    folder = make_run(tmp_path, models, train_sizes=(600, 1200, None), seeds=(0, 1), learning=True)
    page = write_report(folder, None)
    text = page.read_text(encoding="utf-8")
    assert "From 600 training images perfect is the most accurate; no other overtakes it up to 6,000." in text
    shown = {row[0]: row[1:] for row in rows_of(page, "**How training time, accuracy and memory grow")}
    assert set(shown) == set(models)
    assert shown["perfect"][4] == "100.0"
    assert shown["perfect"][5] == MISSING
    assert len(rows_of(page, "**Seconds of training to reach an accuracy")) == len(models)
    drawn = {path.stem for path in (folder.path / "figures").glob("*.svg")}
    assert {"accuracy-size", "accuracy-cost", "costs-size"} <= drawn
    assert "learning-curves" not in drawn
    html = (folder.path / "report.html").read_text(encoding="utf-8")
    assert '<section id="growth"' in html
    few = make_run(tmp_path, models, name="two", train_sizes=(600, None))
    assert "cost and accuracy grow" not in write_report(few, None).read_text(encoding="utf-8")


@pytest.mark.parametrize("sizes", [(9000,), (600, 6000, 9000)])
def test_every_figure_marks_synthetic_training_images(tmp_path, sizes):
    folder = make_run(
        tmp_path, {**GOOD, "other": Model(error_rate=0.2)}, train_sizes=sizes, seeds=(0, 1), learning=True
    )
    write_report(folder, None)
    drawn = {path.stem: path.read_text("utf-8") for path in (folder.path / "figures").glob("*.svg")}
    of_the_rest = {stem for stem in drawn if stem.endswith(("600-images", "6-000-images"))}
    unmarked = {stem for stem, svg in drawn.items() if "synthetic" not in svg}
    assert len(drawn) > 5
    assert unmarked <= of_the_rest
