"""A comparison pairs what is the same, says what really changed, and admits when it cannot tell."""

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from support.synthetic_runs import ENVIRONMENT, Model, calibration, dataset, make_run

from mnistbench.analysis.changes import compare
from mnistbench.errors import UsageError
from mnistbench.report.changes import headline, markdown, sections, show
from mnistbench.runs.records import Session, Status

MODELS = {"svm": Model(0.02, 10), "cnn": Model(0.05, 5)}


def rewrite(folder, change) -> None:
    """Apply a change to the plain JSON of every record of a run."""
    path = folder.path / "records.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for record in records:
        change(record)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def times(folder, factor: float, spread: float = 0.01, seed: int = 0) -> None:
    """Give a run times of 10 s by a factor, with a log-normal spread."""
    draw = np.random.default_rng(seed)

    def change(record):
        for name in ("fit", "predict"):
            seconds = 10 * factor * float(np.exp(spread * draw.standard_normal()))
            record["measurement"][f"{name}_seconds"] = seconds
            record["measurement"][f"{name}_cpu_seconds"] = 1.9 * seconds

    rewrite(folder, change)


def moved(folder, **environment) -> None:
    rewrite(folder, lambda record: record["environment"].update(environment))


def calibrated(folder, factor: float) -> None:
    ids = tuple(trial.id for trial in folder.info().trials)
    speed = (calibration(factor),)
    folder.append_session(Session("", 99, ids, True, before=speed, after=speed))


@pytest.fixture
def pair(tmp_path):
    """Make two runs of the same models, five times each."""
    return tuple(make_run(tmp_path, {"svm": Model(0.02)}, name=name, repeats=5) for name in ("old", "new"))


def verdicts(comparison) -> list[str]:
    return [time.comparison.verdict for change in comparison.changes for time in change.times]


def shown(comparison) -> str:
    stream = io.StringIO()
    show(comparison, Console(file=stream, width=200))
    return stream.getvalue()


# Environments


def test_the_same_run_twice_shows_no_difference(tmp_path):
    old, new = (make_run(tmp_path, MODELS, name=name) for name in ("old", "new"))
    comparison = compare(old, new)
    assert comparison.differences == ()
    assert comparison.regressions == ()
    assert [change.accuracy_verdict for change in comparison.changes] == ["identical", "identical"]
    assert headline(comparison) == "No regression found."
    assert "No differences: same machine" in shown(comparison)


def test_differences_of_the_environments_come_first(pair):
    old, new = pair
    moved(new, libraries={"numpy": "2.5.0", "mnistbench": "0.1.0"}, python="CPython 3.12.1", commit=None)
    comparison = compare(old, new)
    found = {d.what: (d.a, d.b) for d in comparison.differences}
    assert found == {
        "Python": ("CPython 3.11.9", "CPython 3.12.1"),
        "numpy": ("2.4.6", "2.5.0"),
        "scikit-learn": ("1.9.0", None),
        "commit": ("0123456789ab", None),
    }
    first = sections(comparison)[0]
    assert first.title == "Environments"
    assert ("scikit-learn", "1.9.0", "—") in first.rows


def test_a_changed_model_file_is_a_difference(pair):
    old, new = pair
    path = new.path / "run.json"
    path.write_text(path.read_text().replace(new.info().models[0].sha256, "f" * 64))
    (difference,) = compare(old, new).differences
    assert (difference.what, difference.b) == ("model file svm", "f" * 12)


# Pairing


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        ("svm", {"split": "validation"}, "never compared"),
        ("svm", {"data": dataset(sha256="0" * 64, title="digits")}, "MNIST and new on digits"),
        ("cnn", {}, "no trial in common"),
    ],
)
def test_runs_on_other_images_or_without_a_common_trial_are_refused(tmp_path, model, changes, reason):
    old = make_run(tmp_path, {"svm": Model()}, name="old")
    new = make_run(tmp_path, {model: Model()}, name="new", **changes)
    with pytest.raises(UsageError, match=reason):
        compare(old, new)


def test_models_of_only_one_run_are_listed_and_not_compared(tmp_path):
    old = make_run(tmp_path, {"svm": Model(0.02), "rf": Model(0.03)}, name="old")
    new = make_run(tmp_path, {"svm": Model(0.02), "cnn": Model(0.01)}, name="new")
    comparison = compare(old, new)
    assert [change.label for change in comparison.changes] == ["svm"]
    assert (comparison.only_a, comparison.only_b) == (("rf",), ("cnn",))
    assert "Only in A: rf." in shown(comparison)
    assert "Missing in B, so not compared: rf." in headline(comparison)


def test_variants_pair_by_their_parameters(tmp_path):
    variants = {"svm": [{"kernel": "rbf"}, {"kernel": "poly"}]}
    old, new = (
        make_run(tmp_path, {"svm": Model(0.02)}, name=name, variants={"svm": order})
        for name, order in (("old", variants["svm"]), ("new", variants["svm"][::-1]))
    )
    comparison = compare(old, new)
    assert sorted(change.label for change in comparison.changes) == ["svm (kernel=poly)", "svm (kernel=rbf)"]
    assert all(change.identical for change in comparison.changes)


def test_trials_that_differ_in_threads_alone_pair_with_a_note(tmp_path):
    old, new = (
        make_run(tmp_path, {"svm": Model(0.02)}, name=f"t{threads}", threads=(threads,)) for threads in (2, 4)
    )
    comparison = compare(old, new)
    assert [change.label for change in comparison.changes] == ["svm, 2 to 4 threads"]
    assert ("threads", "2", "4") in [(d.what, d.a, d.b) for d in comparison.differences]
    both = make_run(tmp_path, {"svm": Model(0.02)}, name="both", threads=(2, 4))
    assert [change.label for change in compare(old, both).changes] == ["svm"]


# Accuracy


def test_a_clearly_worse_model_is_a_regression(tmp_path):
    old = make_run(tmp_path, MODELS, name="old")
    new = make_run(tmp_path, {**MODELS, "svm": Model(0.06, 10)}, name="new")
    comparison = compare(old, new)
    found = {change.label: change.accuracy_verdict for change in comparison.changes}
    assert found == {"svm": "worse", "cnn": "identical"}
    assert [change.label for change in comparison.regressions] == ["svm"]
    assert headline(comparison).startswith("Regression: svm is less accurate")
    back = compare(new, old)
    assert {change.label: change.accuracy_verdict for change in back.changes}["svm"] == "better"
    assert back.regressions == ()
    assert "Improvement: svm is more accurate" in headline(back)


def test_a_few_images_more_are_no_regression(tmp_path):
    old = make_run(tmp_path, {"svm": Model(0.0500)}, name="old")
    new = make_run(tmp_path, {"svm": Model(0.0525)}, name="new")
    (change,) = compare(old, new).changes
    assert change.error_counts[0] < change.error_counts[1]
    assert change.accuracy_verdict == "cannot tell"
    assert change.accuracy.method == "exact McNemar"
    assert compare(old, new).regressions == ()
    text = shown(compare(old, new))
    assert "Cannot tell whether the accuracy changed: svm" in text
    assert re.search(r"cannot tell: about [\d,]+ images would settle it", text)


def test_a_change_within_the_margin_is_practically_none(tmp_path):
    old = make_run(tmp_path, {"svm": Model(0.0500)}, name="old")
    new = make_run(tmp_path, {"svm": Model(0.0525)}, name="new")
    (change,) = compare(old, new, margin=0.05).changes
    assert change.accuracy_verdict == "practically the same"
    assert "Cannot tell" not in headline(compare(old, new, margin=0.05))
    generous = make_run(tmp_path, {"svm": Model(0.0500)}, name="generous", margin=0.05)
    assert compare(generous, new).changes[0].accuracy_verdict == "practically the same", "run a's margin"
    assert compare(new, generous).changes[0].accuracy_verdict == "cannot tell"


def test_p_values_are_corrected_for_all_models(tmp_path):
    names = [f"m{number}" for number in range(6)]
    old = make_run(tmp_path, {name: Model(0.05) for name in names}, name="old")
    new = make_run(tmp_path, {name: Model(0.055) for name in names}, name="new")
    tests = [change.accuracy for change in compare(old, new).changes]
    assert any(test.adjusted_p_value > test.p_value for test in tests)
    assert min(t.adjusted_p_value for t in tests) == pytest.approx(min(1, 6 * min(t.p_value for t in tests)))


def test_several_seeds_are_compared_as_models(tmp_path):
    old = make_run(tmp_path, {"svm": Model(0.02)}, name="old", seeds=(0, 1, 2))
    new = make_run(tmp_path, {"svm": Model(0.05)}, name="new", seeds=(1, 2, 3))
    (change,) = compare(old, new).changes
    assert change.accuracy.method == "variance components"
    assert change.accuracy_verdict == "worse"
    errors = [r.quality.error_count for r in old.records() if r.trial.seed in (1, 2)]
    assert change.error_counts[0] == pytest.approx(np.mean(errors))


def test_repeats_are_no_further_fits(pair):
    (change,) = compare(*pair).changes
    assert change.accuracy.method == "exact McNemar"
    assert change.identical


def test_without_predictions_the_accuracy_is_unknown_and_does_not_pass(pair):
    old, new = pair
    for path in new.path.glob("predictions/*"):
        path.unlink()
    comparison = compare(old, new)
    (change,) = comparison.changes
    assert change.accuracy_verdict == "unknown"
    assert [change.is_unjudged for change in comparison.regressions] == [True]
    assert "svm cannot be compared" in headline(comparison)
    assert "predictions are missing" in shown(comparison)


@pytest.mark.parametrize(("status", "word"), [(Status.TIMEOUT, "timed out"), (None, "not run")])
def test_a_trial_that_broke_or_never_ran_is_a_regression(tmp_path, status, word):
    old = make_run(tmp_path, MODELS, name="old")
    new = make_run(tmp_path, {**MODELS, "svm": Model(statuses=(status,))}, name="new")
    (change,) = compare(old, new).regressions
    assert (change.label, change.broken) == ("svm", True)
    assert f"svm broke (ok to {word})" in headline(compare(old, new))
    assert compare(new, old).regressions == ()


# Times


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.3, "slower"), (1 / 1.3, "faster"), (1.0, "same"), (1.03, "same")]
)
def test_times_need_a_factor_and_significance(pair, factor, verdict):
    old, new = pair
    times(old, 1.0, spread=0.005)
    times(new, factor, spread=0.005, seed=1)
    comparison = compare(old, new)
    assert verdicts(comparison) == [verdict, verdict]
    assert bool(comparison.regressions) == (verdict == "slower")
    if verdict == "slower":
        assert "svm takes 1.3" in headline(comparison)


def test_noisy_times_are_undecided_with_the_number_of_repeats_needed(pair):
    old, new = pair
    times(old, 1.0, spread=0.3)
    times(new, 1.2, spread=0.3, seed=1)
    comparison = compare(old, new)
    assert set(verdicts(comparison)) == {"cannot tell"}
    assert comparison.regressions == ()
    assert "repeats would settle it" in shown(comparison)


def test_a_single_timing_decides_nothing(tmp_path):
    old, new = (make_run(tmp_path, {"svm": Model(0.02)}, name=name) for name in ("old", "new"))
    times(new, 9.0)
    comparison = compare(old, new)
    assert set(verdicts(comparison)) == {"cannot tell"}
    assert shown(comparison).count("cannot tell: repeat at least 3 times") == 2


def test_many_times_at_once_raise_the_bar(tmp_path):
    """A change that is significant on its own is not when it is one of twenty."""

    def compared(count: int):
        models = {f"m{number}": Model(0.02) for number in range(count)}
        old, new = (make_run(tmp_path, models, name=f"{s}{count}", repeats=3) for s in ("old", "new"))
        values = [10.0, 10.2, 10.4]

        def change(factor):
            def apply(record):
                record["measurement"]["fit_seconds"] = factor * values[record["trial"]["repeat"]]
                record["measurement"]["predict_seconds"] = 1 + 0.001 * record["trial"]["repeat"]

            return apply

        rewrite(old, change(1.0))
        rewrite(new, change(1.08))
        return compare(old, new).changes[0].times[0].comparison

    alone, among = compared(1), compared(10)
    assert alone.verdict == "slower"
    assert among.verdict == "cannot tell"
    assert among.interval.low < alone.interval.low


def test_bare_seconds_of_two_machines_are_never_compared(pair):
    old, new = pair
    times(old, 1.0)
    times(new, 3.0)
    moved(new, host="other", cpu="Another CPU")
    comparison = compare(old, new)
    assert verdicts(comparison) == []
    assert comparison.regressions == ()
    text = shown(comparison)
    assert "the machines differ and old has no calibration" in text
    assert [d.what for d in comparison.differences][:2] == ["host", "processor"]


def test_two_machines_compare_in_calibration_units(pair):
    old, new = pair
    times(old, 1.0)
    times(new, 3.0)
    moved(new, host="other")
    calibrated(old, 1.0)
    calibrated(new, 3.0)
    comparison = compare(old, new)
    assert set(verdicts(comparison)) == {"same"}
    assert {time.unit for change in comparison.changes for time in change.times} == {"calibration units"}
    assert comparison.changes[0].times[0].a[0] == pytest.approx(10 / 0.01, rel=0.1)
    text = shown(comparison)
    assert "The machines differ, so times are in calibration units" in text
    assert "units are not that exact" in text
    assert ("speed", "10.00 ms a calibration unit", "30.00 ms a calibration unit") in [
        (d.what, d.a, d.b) for d in comparison.differences
    ]


@pytest.mark.parametrize(("factor", "verdict"), [(1.4, "same"), (2.0, "slower")])
def test_between_machines_only_more_than_units_leave_over_is_a_difference(pair, factor, verdict):
    old, new = pair
    moved(new, host="other")
    calibrated(old, factor)
    calibrated(new, 1.0)
    assert set(verdicts(compare(old, new))) == {verdict}


def test_a_slightly_other_speed_of_the_same_machine_is_no_difference(pair):
    old, new = pair
    calibrated(old, 1.0)
    calibrated(new, 1.01)
    assert compare(old, new).differences == ()


def test_a_time_that_the_clock_did_not_resolve_is_left_out(pair):
    old, new = pair
    rewrite(new, lambda record: record["measurement"].update(predict_seconds=0.0))
    assert [time.timing for time in compare(old, new).changes[0].times] == ["fit_seconds"]


# Text


def test_markdown_is_well_formed_and_escapes_names(tmp_path):
    old, new = (
        make_run(tmp_path, {"a|b<i>": Model(0.02), "svm": Model(0.03)}, name=name, repeats=3)
        for name in ("old run", "new run")
    )
    html = MarkdownIt("commonmark").enable("table").render(markdown(compare(old, new)))
    assert html.count("<table>") == 2
    assert "<i>" not in html
    assert "a|b&lt;i&gt;" in html
    assert html.index("Environments") < html.index("Accuracy") < html.index("Times")


def test_a_comparison_names_validation_images(tmp_path):
    old, new = (make_run(tmp_path, MODELS, name=name, split="validation") for name in ("old", "new"))
    assert "Evaluated on validation images, not test images." in markdown(compare(old, new))


def test_an_environment_is_compared_by_every_field():
    """A field that is added to `Environment` must be shown as a difference too."""
    known = {f.name for f in dataclasses.fields(ENVIRONMENT)}
    assert known == {
        *("host", "cpu", "logical_cores", "usable_cores", "memory_bytes", "system", "python", "libraries"),
        *("commit", "gpus"),
    }, "teach mnistbench/analysis/environments.py the new field"


def test_the_folder_of_a_run_may_be_anywhere(pair, tmp_path: Path):
    old, new = pair
    new.path.rename(tmp_path / "elsewhere")
    assert compare(old, type(new)(tmp_path / "elsewhere")).changes
