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


@pytest.mark.parametrize(
    ("slow", "quick", "margin", "verdict", "words", "without_test"),
    [
        (0.08, 0.02, 0.002, "worse", "quick trains 10.0 times as fast", True),
        (0.0500, 0.0505, 0.05, "practically the same", "practically as accurate, within 5 points", True),
        (0.0500, 0.0505, 0.002, "cannot tell", None, False),
        (0.06, 0.05, 0.0155, "cannot tell", "not less accurate by more than 1.55 points", True),
        (0.02, 0.08, 0.002, "better", None, False),
    ],
)
def test_a_slower_model_is_found_if_a_faster_one_is_shown_to_be_no_worse(
    tmp_path, slow, quick, margin, verdict, words, without_test
):
    folder = make_run(tmp_path, {"slow": Model(slow, 10), "quick": Model(quick, 1)})
    (test,) = judged(paired_tests(correct(folder)), margin)
    assert test.verdict == verdict
    findings = [f for f in checked(folder, tests=[test], margin=margin) if f.code == "MB101"]
    assert [f.label for f in findings] == (["slow"] if words else [])
    assert all(words in finding.message for finding in findings)
    # Without a test, both accuracies' intervals decide.
    assert only("MB101", checked(folder, margin=margin)) == (["slow"] if without_test else [])


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


# MB103 to MB301: useless, not converged, badly calibrated, disturbed, tuned on the test images


STOPPED = "ConvergenceWarning: lbfgs failed to converge after 100 iterations"
WARNED = "UserWarning: it has not converged yet"


@pytest.mark.parametrize(
    ("code", "model", "run", "words"),
    [
        ("MB103", Model(0.89), {}, "most frequent class"),
        ("MB103", Model(0.5), {}, None),
        ("MB104", Model(warnings=(STOPPED,)), {}, STOPPED),
        ("MB104", Model(warnings=(WARNED,)), {}, WARNED),
        ("MB104", Model(warnings=("FutureWarning: the default will change",)), {}, None),
        ("MB104", Model(), {}, None),
        ("MB105", Model(confidence=0.6), {}, "calibration error"),
        ("MB105", Model(confidence=0.95), {}, None),
        ("MB105", Model(probabilities=False), {}, None),
        ("MB202", Model(), {"beside": 1}, "beside"),
        ("MB202", Model(), {"beside": 0}, None),
        ("MB301", Model(parameters={"C": 5.0}), {}, "C=5.0 (its file has 1.0)"),
        ("MB301", Model(parameters={"C": 5.0}), {"split": "validation"}, None),
        ("MB301", Model(parameters={"C": 1.0}), {}, None),
    ],
)
def test_a_check_speaks_where_it_should_and_nowhere_else(tmp_path, code, model, run, words):
    folder = make_run(tmp_path, {"svm": model}, **run)
    models = [dataclasses.replace(each, parameters={"C": 1.0}) for each in folder.info().models]
    findings = run_checks(rows_of(folder), models=models, most_frequent_share=0.12)
    assert only(code, findings) == (["svm"] if words else [])
    assert all(words in finding.message for finding in findings if finding.code == code)


def test_without_the_most_frequent_class_nothing_is_compared_with_it(tmp_path):
    assert only("MB103", checked(make_run(tmp_path, {"svm": Model(0.89)}))) == []


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


@pytest.mark.parametrize(("share", "found"), [(0.31, ["svm"]), (0.05, [])])
def test_load_by_other_processes_is_found(tmp_path, share, found):
    records = make_run(tmp_path, {"svm": Model()}).records()
    load = dataclasses.replace(QUIET, busy_seconds=20 + 40 * share)
    findings = run_checks({"svm": changed(records, load=load)})
    assert only("MB202", findings) == found
    assert all("other processes used 31 % of the CPU" in finding.message for finding in findings)


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
