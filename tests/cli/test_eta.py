"""How long a run will still take is estimated from the model's own progress, else from similar trials."""

import pytest
from support.synthetic_runs import Model, make_run

from mnistbench.cli.eta import Estimates, likeness
from mnistbench.execution.isolation import Activity
from mnistbench.runs.records import Expected, Forecast, Status


@pytest.fixture
def run(tmp_path):
    models = {"cnn": Model(fit_seconds=20), "svm": Model(statuses=(Status.TIMEOUT,))}
    return make_run(tmp_path, models, seeds=(0, 1, 2))


def test_without_progress_or_earlier_trials_there_is_no_estimate(run):
    trial = run.info().trials[0]
    estimates = Estimates()
    assert estimates.expected_seconds(likeness(trial)) is None
    assert estimates.seconds_left(trial, Activity("fit", 5.0)) is None
    assert estimates.run_seconds_left({likeness(trial): 1}, [], 1) is None


def test_the_rest_of_a_training_follows_from_the_models_own_progress(run):
    trial, estimates = run.info().trials[0], Estimates()
    assert estimates.seconds_left(trial, Activity("fit", 3.0)) is None
    assert estimates.seconds_left(trial, Activity("fit", 5.0, done=1, total=4)) == pytest.approx(6.0)
    assert estimates.seconds_left(trial, Activity("fit", 9.0, done=3, total=4)) == pytest.approx(2.0)


def test_similar_trials_give_the_expected_time(run):
    estimates = Estimates(run.records())
    trial = next(t for t in run.info().trials if t.model == "cnn" and t.seed == 2)
    took = sorted(r.trial_seconds for r in run.records() if r.trial.model == "cnn")
    assert estimates.expected_seconds(likeness(trial)) == took[1]
    assert estimates.seconds_left(trial, Activity("load", 1.0)) == pytest.approx(took[1] - 1)
    assert estimates.seconds_left(trial, Activity("predict", 1e6)) == 0
    assert estimates.run_seconds_left({likeness(trial): 2}, [], 2) == pytest.approx(took[1])


def test_a_trial_that_was_stopped_gives_no_estimate(run):
    stopped = [record for record in run.records() if record.status is Status.TIMEOUT]
    assert stopped
    assert Estimates(stopped).expected_seconds(likeness(stopped[0].trial)) is None


def test_a_trial_that_has_a_forecast_takes_as_long_until_one_like_it_has_ended(run):
    info = run.info()
    trial = next(each for each in info.trials if each.model == "cnn")
    forecast = Forecast(*(Expected(value, value / 2, 2 * value) for value in (30.0, 40.0, 1e9)), "a pilot")
    estimates = Estimates((), info.trials, {trial.id: forecast})
    assert estimates.expected_seconds(likeness(trial)) == 40
    assert estimates.run_seconds_left({likeness(trial): 3}, [], 1) == 120
    first = run.records()[0]
    estimates.learn(first)
    assert estimates.expected_seconds(likeness(trial)) == first.trial_seconds
