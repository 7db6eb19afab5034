"""Each methodological check speaks where it should, and is silent where it should be."""

import dataclasses

import numpy as np
import pytest
from support.synthetic_runs import Model, calibration, dataset, make_run, true_labels

from mnistbench.analysis import checks
from mnistbench.analysis.checks import CHECKS, Finding, joined
from mnistbench.analysis.configurations import Configuration
from mnistbench.runs.records import MachineLoad, Record, Session
from mnistbench.stats.pairs import paired_tests
from mnistbench.stats.verdicts import judged

QUIET = MachineLoad(10, 20, 20, 0, 0, 4)


def rows_of(folder) -> dict[str, list[Record]]:
    rows: dict[str, list[Record]] = {}
    for record in folder.records():
        rows.setdefault(record.trial.model, []).append(record)
    return rows


def run_checks(rows: dict[str, list[Record]], **more) -> list[Finding]:
    configurations = [
        Configuration(label, label, tuple(r.trial for r in records), tuple(records))
        for label, records in rows.items()
    ]
    return checks.run_checks(configurations, **more)


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.label) for finding in findings]


def checked(folder, **more) -> list[Finding]:
    return run_checks(rows_of(folder), models=folder.info().models, sessions=folder.sessions(), **more)


def only(code: str, findings: list[Finding]) -> list[str]:
    return [finding.label for finding in findings if finding.code == code]


def changed(records: list[Record], **measured) -> list[Record]:
    return [
        dataclasses.replace(r, measurement=dataclasses.replace(r.measurement, **measured)) for r in records
    ]


def scored(records: list[Record], **values) -> list[Record]:
    return [dataclasses.replace(r, quality=dataclasses.replace(r.quality, **values)) for r in records]


def correct(folder) -> dict[str, np.ndarray]:
    truth = true_labels(folder.info().dataset)
    return {
        label: np.array([folder.predictions(r.trial.id).labels == truth for r in records])
        for label, records in rows_of(folder).items()
    }


def test_a_sound_run_gives_no_findings(tmp_path):
    folder = make_run(tmp_path, {"fast": Model(0.08, 1), "good": Model(0.02, 10)})
    assert checked(folder, tests=judged(paired_tests(correct(folder))), most_frequent_share=0.12) == []


def test_every_finding_has_a_code_a_message_and_advice(tmp_path):
    folder = make_run(
        tmp_path, {"slow": Model(0.08, 10, warnings=("ConvergenceWarning: no",)), "good": Model(0.02, 1)}
    )
    for finding in checked(folder):
        assert finding.advice == CHECKS[finding.code].advice
        assert finding.message
        assert "\n" not in finding.message


# MB101: slower and no better than another model


def test_a_slower_and_less_accurate_model_is_found(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.08, 10), "good": Model(0.02, 1)})
    findings = checked(folder, tests=judged(paired_tests(correct(folder))))
    assert codes(findings) == [("MB101", "slow")]
    assert "good trains 10.0 times as fast" in findings[0].message


def test_a_slower_and_practically_as_accurate_model_is_found(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.0500, 10), "quick": Model(0.0505, 1)})
    (test,) = judged(paired_tests(correct(folder)), 0.05)
    assert test.verdict == "practically the same"
    findings = checked(folder, tests=[test], margin=0.05)
    assert only("MB101", findings) == ["slow"]
    assert "practically as accurate, within 5 points" in findings[0].message


def test_a_difference_that_is_not_significant_is_no_reason_to_prefer_the_faster_model(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.0500, 10), "quick": Model(0.0505, 1)})
    (test,) = judged(paired_tests(correct(folder)))
    assert test.verdict == "cannot tell"
    assert only("MB101", checked(folder, tests=[test])) == []
    assert only("MB101", checked(folder)) == []  # by both accuracies' intervals
    assert only("MB101", checked(folder, margin=0.05)) == ["slow"]


def test_on_few_images_no_worse_model_is_preferred(tmp_path):
    """1, 8 and 14 errors in the 500 test images of `digits`."""
    models = {"cnn": Model(fit_seconds=12), "mlp": Model(fit_seconds=6), "logreg": Model(fit_seconds=1)}
    rows = rows_of(make_run(tmp_path, models, data=dataset(test_count=500)))
    right = {}
    for name, wrong in (("cnn", [499]), ("mlp", range(8)), ("logreg", range(5, 19))):
        right[name] = ~np.isin(np.arange(500), wrong)
        rows[name] = scored(rows[name], accuracy=right[name].mean(), error_count=len(wrong))
    tests = judged(paired_tests(right))
    verdicts = {(test.model_a, test.model_b): test.verdict for test in tests}
    assert verdicts == {
        ("cnn", "mlp"): "cannot tell", ("cnn", "logreg"): "better", ("mlp", "logreg"): "cannot tell",
    }  # fmt: skip
    assert only("MB101", run_checks(rows, tests=tests)) == []
    assert only("MB101", run_checks(rows)) == []


def test_a_faster_model_that_may_be_better_but_not_much_worse_is_found(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.06, 10), "quick": Model(0.05, 1)})
    (test,) = judged(paired_tests(correct(folder)), 0.0155)
    assert test.verdict == "cannot tell"
    findings = checked(folder, tests=[test], margin=0.0155)
    assert only("MB101", findings) == ["slow"]
    assert "not less accurate by more than 1.55 points" in findings[0].message


def test_slower_but_better_is_a_fair_choice(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.02, 10), "quick": Model(0.08, 1)})
    assert only("MB101", checked(folder, tests=judged(paired_tests(correct(folder))))) == []
    assert only("MB101", checked(folder)) == []  # by the mean accuracies alone


def test_slower_to_train_but_faster_to_predict_is_a_fair_choice(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.08, 10), "good": Model(0.02, 1)})
    rows = rows_of(folder)
    rows["slow"] = changed(rows["slow"], predict_seconds=0.001)
    assert only("MB101", run_checks(rows)) == []


def test_single_timings_that_are_close_do_not_make_a_model_slower(tmp_path):
    folder = make_run(tmp_path, {"slow": Model(0.08, 1.15), "good": Model(0.02, 1)})
    assert only("MB101", checked(folder)) == []
    repeated = make_run(tmp_path, {"slow": Model(0.08, 1.15), "good": Model(0.02, 1)}, repeats=8, name="more")
    assert only("MB101", checked(repeated)) == ["slow"]


def test_other_training_sizes_are_another_contest(tmp_path):
    folder = make_run(tmp_path, {"good": Model(0.02, 10)}, train_sizes=(500, None))
    rows = {str(r.trial.train_size): [r] for r in folder.records()}
    rows["None"] = scored(rows["None"], accuracy=0.5, error_count=500)
    assert only("MB101", run_checks(rows)) == []


# MB102: test accuracy far below training accuracy


@pytest.mark.parametrize(("error_rate", "found"), [(0.12, ["svm"]), (0.04, [])])
def test_overfitting_is_found(tmp_path, error_rate, found):
    folder = make_run(tmp_path, {"svm": Model(error_rate)})
    rows = {"svm": changed(folder.records(), train_accuracy=1.0)}
    assert only("MB102", run_checks(rows)) == found


def test_a_few_test_images_are_no_evidence_of_a_gap(tmp_path):
    records = make_run(tmp_path, {"svm": Model(0.12)}, data=dataset(test_count=30)).records()
    scores = scored(changed(records, train_accuracy=1.0), accuracy=0.9, error_count=3)
    assert only("MB102", run_checks({"svm": scores})) == []


# MB103: not better than the most frequent class


@pytest.mark.parametrize(("error_rate", "found"), [(0.89, ["svm"]), (0.5, [])])
def test_a_model_no_better_than_the_most_frequent_class_is_found(tmp_path, error_rate, found):
    folder = make_run(tmp_path, {"svm": Model(error_rate)})
    assert only("MB103", checked(folder, most_frequent_share=0.12)) == found
    assert only("MB103", checked(folder)) == []


# MB104: not converged


@pytest.mark.parametrize(
    ("warnings", "found"),
    [
        (("ConvergenceWarning: lbfgs failed to converge after 100 iterations",), ["svm"]),
        (("UserWarning: it has not converged yet",), ["svm"]),
        (("FutureWarning: the default will change",), []),
        ((), []),
    ],
)
def test_failed_convergence_is_found(tmp_path, warnings, found):
    folder = make_run(tmp_path, {"svm": Model(0.05, warnings=warnings)})
    findings = checked(folder)
    assert only("MB104", findings) == found
    assert all(warnings[0] in finding.message for finding in findings)


# MB105: probabilities badly calibrated


@pytest.mark.parametrize(("confidence", "found"), [(0.6, ["rf"]), (0.95, [])])
def test_bad_calibration_is_found(tmp_path, confidence, found):
    folder = make_run(tmp_path, {"rf": Model(0.05, confidence=confidence)})
    assert only("MB105", checked(folder)) == found


def test_without_probabilities_there_is_nothing_to_calibrate(tmp_path):
    folder = make_run(tmp_path, {"svm": Model(0.05, probabilities=False)})
    assert only("MB105", checked(folder)) == []


@pytest.mark.parametrize("count", [100, 400, 3000])
def test_perfectly_calibrated_probabilities_are_hardly_ever_called_badly_calibrated(tmp_path, count):
    """The calibration error of few images is above 0 by chance alone."""
    from mnistbench.stats.scores import quality

    (record,) = make_run(tmp_path, {"svm": Model(0.05)}).records()
    draw = np.random.default_rng(1)
    found = 0
    for _ in range(200):
        probabilities = draw.dirichlet(np.full(10, 0.3), count)
        truth = (probabilities.cumsum(axis=1) > draw.random((count, 1))).argmax(axis=1)
        scores = quality(truth, probabilities.argmax(axis=1), probabilities, range(10))
        found += bool(only("MB105", run_checks({"svm": [dataclasses.replace(record, quality=scores)]})))
    assert found <= 2


# MB201: timing not to be trusted


@pytest.mark.parametrize(("drift", "found"), [(0.6, ["svm"]), (0.2, [])])
def test_a_timing_of_grade_d_is_found(tmp_path, drift, found):
    folder = make_run(tmp_path, {"svm": Model()})
    ids = tuple(r.trial.id for r in folder.records())
    folder.append_session(Session("", 9, ids, True, before=(calibration(),), after=(calibration(1 + drift),)))
    findings = checked(folder)
    assert only("MB201", findings) == found
    drifted = "time D: the machine's speed drifted by 60 %"
    assert all(f.message == f"training {drifted}. Its prediction {drifted}" for f in findings)


# MB202: run beside other load


@pytest.mark.parametrize(("beside", "found"), [(1, ["svm"]), (0, [])])
def test_trials_side_by_side_are_found(tmp_path, beside, found):
    folder = make_run(tmp_path, {"svm": Model()}, beside=beside)
    assert only("MB202", checked(folder)) == found


@pytest.mark.parametrize(("share", "found"), [(0.31, ["svm"]), (0.05, [])])
def test_load_by_other_processes_is_found(tmp_path, share, found):
    records = make_run(tmp_path, {"svm": Model()}).records()
    load = dataclasses.replace(QUIET, busy_seconds=20 + 40 * share)
    findings = run_checks({"svm": changed(records, load=load)})
    assert only("MB202", findings) == found
    assert all("other processes used 31 % of the CPU" in finding.message for finding in findings)


# MB301: tuned on test


@pytest.mark.parametrize(
    ("value", "split", "found"),
    [(5.0, "test", ["svm"]), (5.0, "validation", []), (1.0, "test", []), (1.0, "validation", [])],
)
def test_a_parameter_overridden_on_the_test_images_is_found(tmp_path, value, split, found):
    folder = make_run(tmp_path, {"svm": Model(parameters={"C": value})}, split=split)
    models = [dataclasses.replace(model, parameters={"C": 1.0}) for model in folder.info().models]
    findings = run_checks(rows_of(folder), models=models)
    assert only("MB301", findings) == found
    assert all("C=5.0 (its file has 1.0)" in finding.message for finding in findings)


def test_failed_trials_and_empty_runs_are_passed_over(tmp_path):
    record = make_run(tmp_path, {"svm": Model()}).records()[0]
    failed = dataclasses.replace(record, measurement=None, quality=None)
    assert run_checks({"svm": [failed], "cnn": []}) == []
    assert run_checks({}) == []


def test_what_is_found_of_several_is_joined():
    slow, noisy = (
        Finding("MB101", "a", "slow", "x"),
        [Finding("MB201", f"m{i}", "drift", "y") for i in range(10)],
    )
    other = Finding("MB201", "z", "spread", "y")
    assert joined([slow, *noisy, other]) == [
        slow,
        dataclasses.replace(noisy[0], label="m0, m1, m2, m3, m4, m5, m6, m7 and 2 more"),
        other,
    ]
