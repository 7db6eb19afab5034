"""A report tells how far the forecasts of its run were off."""

import json
from dataclasses import replace

import pytest
from support.synthetic_runs import Model, make_run

from mnistbench.analysis.forecasts import forecast_errors
from mnistbench.analysis.run import load_run
from mnistbench.report import write_report
from mnistbench.runs.json import to_json
from mnistbench.runs.records import Expected, Forecast, Status

MODELS = {"svm": Model(fit_seconds=20), "bad": Model(statuses=(Status.FAILED,)), "new": Model()}
OFF = {"svm": 1.2, "bad": 1.0}


def expected(value):
    return Expected(value, value / 2, 2 * value)


@pytest.fixture
def foretold(tmp_path):
    """A run that was foretold 20 % too long but for a trial that failed and one without a forecast."""
    folder = make_run(tmp_path, MODELS)
    forecasts = {
        r.trial.id: Forecast(expected(1.0), expected(off * r.trial_seconds), expected(612e6 / off), "a pilot")
        for r in folder.records()
        if (off := OFF.get(r.trial.model))
    }
    info = replace(folder.info(), forecasts=forecasts)
    folder.write("run.json", json.dumps(to_json(info)).encode())
    assert folder.info().forecasts == forecasts
    return folder


def test_only_forecasts_of_trials_that_succeeded_are_judged(foretold):
    errors = forecast_errors(foretold.info(), foretold.records())
    assert errors.trial_errors == errors.memory_errors == (pytest.approx(0.2),)
    assert errors.near == 1
    assert forecast_errors(replace(foretold.info(), forecasts={}), foretold.records()) is None


def test_the_report_tells_the_error_and_keeps_each_forecast_beside_its_outcome(foretold, tmp_path):
    text = write_report(foretold, tmp_path).read_text()
    assert "forecasts were made of 1 trial: the median error of the whole trial's time was 20 %" in text
    trials = load_run(foretold.path).frames["trials"].set_index("model")
    assert (trials["expected_trial_seconds"] / trials["trial_seconds"])["svm"] == pytest.approx(1.2)
    assert trials["expected_trial_seconds"].isna()["new"]
