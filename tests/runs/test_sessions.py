"""What the harness costs, and how fast its machine was, follows from the sessions and the records."""

import dataclasses

import pytest
from support.synthetic_runs import Model, calibration, make_run

from mnistbench.runs.records import Session, Status
from mnistbench.runs.sessions import machine_drift, overhead, own_seconds, unit_seconds


@pytest.fixture
def records(tmp_path):
    models = {"svm": Model(), "bad": Model(statuses=(Status.TIMEOUT,))}
    return make_run(tmp_path, models).records()


def test_own_work_is_what_a_plain_script_would_do(records):
    good, bad = records
    m = good.measurement
    parts = (m.import_seconds, m.load_seconds, m.build_seconds, m.fit_seconds, m.predict_seconds)
    assert own_seconds(good) == pytest.approx(sum(parts) + m.first_predict_seconds)
    assert own_seconds(bad) == bad.trial_seconds


def test_overhead_is_the_wall_time_less_the_trials_own_work(records):
    own = sum(map(own_seconds, records))
    cost = overhead([Session("", own + 5, tuple(r.trial.id for r in records), True)], records)
    assert cost.seconds == pytest.approx(5)
    assert cost.share == pytest.approx(5 / (own + 5))


def test_side_by_side_there_is_more_time_to_use(records):
    ids = tuple(r.trial.id for r in records)
    cost = overhead([Session("", 100, ids, True, side_by_side=2)], records)
    assert cost.available_seconds == 200
    assert cost.seconds == pytest.approx(200 - sum(map(own_seconds, records)))


def test_interrupted_and_empty_sessions_have_no_overhead(records):
    ids = tuple(r.trial.id for r in records)
    assert overhead([Session("", 100, ids, False), Session("", 1, (), True)], records) is None


def test_only_the_trials_of_whole_sessions_count(records):
    first, second = records
    whole = Session("", 30, (second.trial.id,), True)
    cost = overhead([Session("", 100, (first.trial.id,), False), whole], records)
    assert cost.own_seconds == own_seconds(second)


def test_the_drift_is_the_largest_of_the_sessions_of_the_trials():
    sessions = [
        Session("", 1, ("a",), True, before=(calibration(),), after=(calibration(1.1),)),
        Session("", 1, ("b",), True, before=(calibration(),), after=(calibration(2),)),
        Session("", 1, ("c",), False, before=(calibration(),)),
    ]
    assert machine_drift(sessions, {"a"}) == pytest.approx(0.1)
    assert machine_drift(sessions, {"a", "b"}) == pytest.approx(1.0)
    assert machine_drift(sessions, {"c"}) is None
    assert machine_drift(sessions, {"x"}) is None


def test_the_calibration_unit_is_between_before_and_after():
    session = Session("", 1, ("a",), True, before=(calibration(),), after=(calibration(4),))
    assert unit_seconds([session], "a") == pytest.approx(0.02)
    assert unit_seconds([session], "b") is None
    several = dataclasses.replace(session, before=(calibration(),) * 2, after=(calibration(),) * 2)
    assert unit_seconds([several], "a") is None
