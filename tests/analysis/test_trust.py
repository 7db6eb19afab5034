"""The trust grade of a timing follows the documented table, and says why."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.synthetic_runs import Model, calibration, make_run

from mnistbench.analysis import trust
from mnistbench.analysis.trust import grade
from mnistbench.runs.records import MachineLoad, Record, Session

QUIET = MachineLoad(
    wall_seconds=10, busy_seconds=20, own_seconds=20, steal_seconds=0, throttled_count=0, logical_cores=4
)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Record:
    (record,) = make_run(tmp_path_factory.mktemp("runs"), {"svm": Model()}).records()
    return record


def timed(template: Record, seconds=(10.0, 10.1, 9.9), **changes) -> list[Record]:
    """Return records of one seed, quiet and without fault, but for what is changed."""
    beside = changes.pop("beside", 0)
    seeds = changes.pop("seeds", [0] * len(seconds))
    cores = changes.pop("cores", 1.9)
    measured = {"load": QUIET, **changes}
    return [
        dataclasses.replace(
            template,
            trial=dataclasses.replace(template.trial, seed=seed, repeat=number),
            beside=beside,
            measurement=dataclasses.replace(
                template.measurement, fit_seconds=s, fit_cpu_seconds=cores * s, **measured
            ),
        )
        for number, (s, seed) in enumerate(zip(seconds, seeds, strict=True))
    ]


def session(records: list[Record], drift: float = 0.0) -> list[Session]:
    ids = tuple(record.trial.id for record in records)
    return [Session("", 99, ids, True, before=(calibration(),), after=(calibration(1 + drift),))]


def graded(records: list[Record], drift: float = 0.0) -> trust.Grade:
    return grade(records, session(records, drift))


def load(**changes) -> MachineLoad:
    return dataclasses.replace(QUIET, **changes)


def test_a_quiet_repeated_timing_is_an_a_without_a_reason(template):
    assert graded(timed(template)) == trust.Grade("A", ())
    assert str(graded(timed(template))) == "A"


def test_the_reason_is_given_in_words(template):
    loud = graded(timed(template, load=load(busy_seconds=20 + 0.31 * 40)))
    assert str(loud) == "C: 31 % of the CPU was used by others"


@pytest.mark.parametrize(
    ("seconds", "letter"),
    [
        ((10, 10.05, 10.1), "A"),
        ((10, 10.5, 11), "B"),
        ((10, 11, 13), "C"),
        ((10, 13, 20), "D"),
        ((10,), "B"),
        ((10, 10.1), "B"),
    ],
)
def test_spread_and_too_few_timings_lower_the_grade(template, seconds, letter):
    found = graded(timed(template, seconds))
    assert found.letter == letter
    assert all("times spans" in reason or "timed only" in reason for reason in found.reasons)


def test_seeds_that_were_repeated_are_compared_with_themselves_alone(template):
    records = timed(template, (10, 10, 30, 30, 20, 20), seeds=[0, 0, 1, 1, 2, 2])
    assert graded(records).letter == "A"
    once_each = timed(template, (10, 30, 20), seeds=[0, 1, 2])
    assert "over 3 seeds" in str(graded(once_each))


@pytest.mark.parametrize(
    ("changed", "letter", "words"),
    [
        (load(busy_seconds=20 + 0.04 * 40), "A", ""),
        (load(busy_seconds=20 + 0.10 * 40), "B", "10 % of the CPU was used by others"),
        (load(busy_seconds=20 + 0.50 * 40), "D", "used by others: the trial had about 2.0 of 4 cores"),
        (load(busy_seconds=19), "A", ""),
        (load(steal_seconds=0.02 * 40), "B", "2.0 % of the CPU was stolen"),
        (load(steal_seconds=0.2 * 40), "D", "20 % of the CPU was stolen"),
        (load(throttled_count=1), "C", "throttled 3 times"),
        (load(wall_seconds=0.1, busy_seconds=9), "B", "too short to tell"),
        (None, "B", "was not measured"),
    ],
)
def test_load_on_the_machine_lowers_the_grade(template, changed, letter, words):
    found = graded(timed(template, load=changed))
    assert found.letter == letter
    assert words in str(found)


@pytest.mark.parametrize(("drift", "letter"), [(0.04, "A"), (0.1, "B"), (0.2, "C"), (0.5, "D")])
def test_drift_lowers_the_grade(template, drift, letter):
    found = graded(timed(template), drift)
    assert found.letter == letter
    assert letter == "A" or f"drifted by {100 * drift:.0f} %" in str(found)


def test_without_a_calibration_there_is_no_a(template):
    assert str(grade(timed(template), [])) == "B: the drift of the machine was not measured"


def test_trials_side_by_side_are_found(template):
    assert str(graded(timed(template, beside=1))) == "C: 1 other trial ran beside it"


@pytest.mark.parametrize(
    ("cores", "letter", "words"),
    [
        (2.0, "A", ""),
        (1.0, "A", ""),
        (0.97, "B", "0.97 cores busy, with 2 threads asked for"),
        (0.8, "B", "waited"),
        (0.6, "C", "waited"),
        (0.3, "D", "waited: it kept only 0.30 cores busy"),
        (2.3, "B", "2.30 cores busy, with 2 threads asked for"),
        (3.5, "D", "3.50 cores busy"),
    ],
)
def test_idle_threads_lower_the_grade(template, cores, letter, words):
    found = graded(timed(template, cores=cores))
    assert found.letter == letter
    assert words in str(found)


def test_waiting_for_a_gpu_is_no_fault(template):
    assert graded(timed(template, cores=0.3, device="gpu:0 Example")).letter == "A"


def test_prediction_is_graded_by_its_own_times(template):
    records = timed(template, predict_seconds=1.0, predict_cpu_seconds=0.3)
    assert grade(records, session(records)).letter == "A"
    assert grade(records, session(records), "predict_seconds").letter == "D"


def test_a_time_that_the_clock_did_not_resolve(template):
    assert "the clock did not resolve it" in str(graded(timed(template, (1, 0, 1))))


def test_nothing_timed_has_no_grade(template):
    assert grade([], []) is None
    assert grade([dataclasses.replace(template, measurement=None)], []) is None


@given(st.floats(0, 2), st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 4), st.integers(0, 3))
def test_more_trouble_never_gives_a_better_grade(template, others, steal, drift, cores, beside):
    """Each sign alone bounds the grade of all of them together."""

    def letter(others=0.0, steal=0.0, drift=0.0, cores=1.9, beside=0):
        disturbed = load(busy_seconds=20 + 40 * others, steal_seconds=40 * steal)
        return graded(timed(template, load=disturbed, cores=cores, beside=beside), drift).letter

    alone = [letter(others=others), letter(steal=steal), letter(drift=drift), letter(cores=cores)]
    assert letter(others, steal, drift, cores, beside) == max(*alone, letter(beside=beside))


def test_every_sign_of_the_table_is_documented():
    for bounds in (trust.SPREAD_BOUNDS, trust.OTHERS_BOUNDS, trust.STEAL_BOUNDS, trust.DRIFT_BOUNDS):
        cells = " | ".join(f"up to {100 * bound:.0f} %" for bound in bounds)
        assert cells in trust.__doc__


def test_a_trial_with_fewer_threads_than_asked_for_is_a_d_and_says_so_once(template):
    busy = load(busy_seconds=40, own_seconds=20)
    grade_ = graded(timed(template, cores=0.99, threads_used=1, load=busy))
    assert grade_.letter == "D"
    assert grade_.reasons == (
        "other programs kept cores busy, so it ran with 1 thread instead of 2",
        "50 % of the CPU was used by others",
    )


def test_one_trial_with_fewer_threads_does_not_make_the_others_look_too_busy(template):
    records = timed(template, cores=1.96)
    first = dataclasses.replace(records[0].measurement, threads_used=1, fit_cpu_seconds=9.9)
    records[0] = dataclasses.replace(records[0], measurement=first)
    assert graded(records).reasons == (
        "other programs kept cores busy, so it ran with 1 thread instead of 2",
    )
