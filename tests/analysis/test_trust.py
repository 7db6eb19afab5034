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


OTHERS = "of the CPU was used by others"


@pytest.mark.parametrize(
    ("changes", "letter", "words"),
    [
        ({"seconds": (10, 10.05, 10.1)}, "A", ""),
        ({"seconds": (10, 10.5, 11)}, "B", "times spans"),
        ({"seconds": (10, 11, 13)}, "C", "times spans"),
        ({"seconds": (10, 13, 20)}, "D", "times spans"),
        ({"seconds": (10,)}, "B", "timed only"),
        ({"seconds": (10, 10.1)}, "B", "timed only"),
        ({"seconds": (1, 0, 1)}, "D", "the clock did not resolve it"),
        ({"load": load(busy_seconds=20 + 0.04 * 40)}, "A", ""),
        ({"load": load(busy_seconds=20 + 0.10 * 40)}, "B", f"10 % {OTHERS}"),
        ({"load": load(busy_seconds=20 + 0.31 * 40)}, "C", f"C: 31 % {OTHERS}"),
        ({"load": load(busy_seconds=20 + 0.50 * 40)}, "D", f"{OTHERS}: the trial had about 2.0 of 4 cores"),
        ({"load": load(busy_seconds=19)}, "A", ""),
        ({"load": load(steal_seconds=0.02 * 40)}, "B", "2.0 % of the CPU was stolen"),
        ({"load": load(steal_seconds=0.2 * 40)}, "D", "20 % of the CPU was stolen"),
        ({"load": load(throttled_count=1)}, "C", "throttled 3 times"),
        ({"load": load(wall_seconds=0.1, busy_seconds=9)}, "B", "too short to tell"),
        ({"load": None}, "B", "was not measured"),
        ({"drift": 0.04}, "A", ""),
        ({"drift": 0.1}, "B", "drifted by 10 %"),
        ({"drift": 0.2}, "C", "drifted by 20 %"),
        ({"drift": 0.5}, "D", "drifted by 50 %"),
        ({"beside": 1}, "C", "C: 1 other trial ran beside it"),
        ({"cores": 2.0}, "A", ""),
        ({"cores": 1.0}, "A", ""),
        ({"cores": 0.97}, "B", "0.97 cores busy, with 2 threads asked for"),
        ({"cores": 0.8}, "B", "waited"),
        ({"cores": 0.6}, "C", "waited"),
        ({"cores": 0.3}, "D", "waited: it kept only 0.30 cores busy"),
        ({"cores": 2.3}, "B", "2.30 cores busy, with 2 threads asked for"),
        ({"cores": 3.5}, "D", "3.50 cores busy"),
        ({"cores": 0.3, "device": "gpu:0 Example"}, "A", ""),  # which it waits for
    ],
)
def test_each_sign_of_trouble_lowers_the_grade_and_is_named(template, changes, letter, words):
    drift = changes.get("drift", 0.0)
    found = graded(
        timed(template, **{name: each for name, each in changes.items() if name != "drift"}), drift
    )
    assert found.letter == letter
    assert words in str(found)
    assert len(found.reasons) == (letter != "A")


def test_seeds_that_were_repeated_are_compared_with_themselves_alone(template):
    records = timed(template, (10, 10, 30, 30, 20, 20), seeds=[0, 0, 1, 1, 2, 2])
    assert graded(records).letter == "A"
    once_each = timed(template, (10, 30, 20), seeds=[0, 1, 2])
    assert "over 3 seeds" in str(graded(once_each))


def test_without_a_calibration_there_is_no_a(template):
    assert str(grade(timed(template), [])) == "B: the drift of the machine was not measured"


def test_prediction_is_graded_by_its_own_times(template):
    records = timed(template, predict_seconds=1.0, predict_cpu_seconds=0.3)
    assert grade(records, session(records)).letter == "A"
    assert grade(records, session(records), "predict_seconds").letter == "D"


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
