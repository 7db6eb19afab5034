"""Models as people write them: their own code in other processes, and habits of the libraries they use."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from support.trials import CORE, record_of

from mnistbench.execution.isolation import run_trial
from mnistbench.runs.predictions import decode_predictions
from mnistbench.runs.records import Status

PARALLEL = """
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed


def first(X):
    import joblib

    return Path(__file__).name, joblib.__version__


class Own:
    def fit(self, X, y):
        {in_fit}
        self.seen_ = Parallel(n_jobs=2)(delayed(first)(x) for x in X[:2])
        assert len(set(self.seen_)) == 1
        print("SEEN", *self.seen_[0])
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Own()
"""


@pytest.mark.parametrize("how", ["loky", "spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_what_a_file_defines_reaches_the_processes_that_it_starts(how, make_job):
    if how == "forkserver" and os.name != "posix":
        pytest.skip("there is no forkserver here")
    job = replace(make_job("pooled", parameters={"how": how}), measurements=("cold_start",))
    record = record_of(job)
    assert record.failure is None
    assert record.quality.accuracy == 1
    assert record.measurement.engine == "its own code"
    assert record.measurement.cold_start is not None


def test_a_search_in_parallel_over_a_transformer_of_its_own_works(make_job):
    job = replace(make_job("searching"), measurements=("cold_start",))
    record = record_of(job)
    assert record.failure is None
    assert record.quality.accuracy > 0.9
    assert record.measurement.engine.startswith("scikit-learn ")
    assert record.measurement.cold_start is not None


def test_a_model_with_the_name_of_a_library_does_not_shadow_it(make_job, tmp_path):
    import joblib

    path = tmp_path / "joblib.py"
    path.write_text(PARALLEL.format(in_fit=""))
    outcome = run_trial(make_job(path), CORE)
    assert outcome.failure is None
    assert f"SEEN joblib.py {joblib.__version__}" in outcome.log.decode()


def test_what_was_checked_is_what_runs_in_every_process(make_job, tmp_path):
    path = tmp_path / "edited.py"
    path.write_text(PARALLEL.format(in_fit="Path(__file__).write_text('raise SystemExit')"))
    outcome = run_trial(make_job(path), CORE)
    assert path.read_text() == "raise SystemExit"
    assert outcome.failure is None
    assert "SEEN edited.py" in outcome.log.decode()


def test_a_model_may_import_files_and_packages_beside_it_and_their_errors_name_the_users_file(
    make_job, tmp_path
):
    (tmp_path / "_deep" / "er").mkdir(parents=True)
    (tmp_path / "_deep" / "__init__.py").write_text("from .er.most import scale\n")
    (tmp_path / "_deep" / "er" / "__init__.py").write_text("")
    (tmp_path / "_deep" / "er" / "most.py").write_text("from _means import Means as scale\n")
    (tmp_path / "_means.py").write_text(
        "class Means:\n    def fit(self, X, y):\n        raise ValueError('here')\n"
    )
    path = tmp_path / "importing.py"
    path.write_text(
        "def build():\n    from _deep import scale\n    scale.predict = None.__class__\n    return scale()\n"
    )
    failure = run_trial(make_job(path), CORE).failure
    assert (failure.kind, failure.message) == ("ValueError", "here")
    assert f'File "{tmp_path / "_means.py"}", line 3, in fit' in failure.traceback
    assert "raise ValueError('here')" in failure.traceback


@pytest.mark.parametrize("changed", ["whole.py", "_part.py"])
def test_a_model_is_not_run_if_its_file_or_one_beside_it_changed_after_the_plan(make_job, tmp_path, changed):
    (tmp_path / "_part.py").write_text("LEVEL = 1\n")
    path = tmp_path / "whole.py"
    path.write_text("from _part import LEVEL\ndef build(): ...\n")
    job = make_job(path)
    with (tmp_path / changed).open("a") as file:
        file.write("LEVEL = 2\n")
    record = run_trial(job, CORE)
    assert record.status is Status.INVALID
    assert "whole.py has changed since the run was planned" in record.failure.message
    path.unlink()
    assert "whole.py cannot be read: No such file" in run_trial(job, CORE).failure.message


def test_a_file_beside_a_model_that_looks_like_a_model_is_refused_with_advice(make_job, tmp_path):
    (tmp_path / "features.py").write_text("LEVEL = 1\n")
    path = tmp_path / "whole.py"
    path.write_text("from features import LEVEL\ndef build(): ...\n")
    record = run_trial(make_job(path), CORE)
    assert record.status is Status.UNAVAILABLE
    assert "No module named 'features'; rename the file beside it to _features.py" in record.failure.message


def test_a_missing_backend_of_keras_names_the_variable_that_asks_for_it(make_job, tmp_path, monkeypatch):
    path = tmp_path / "network.py"
    path.write_text("import no_such_backend\ndef build(): ...\n")
    monkeypatch.setenv("KERAS_BACKEND", "no_such_backend")
    record = run_trial(make_job(path), CORE)
    assert record.status is Status.UNAVAILABLE
    assert "KERAS_BACKEND is no_such_backend: install it or unset the variable" in record.failure.message


def test_whatever_a_call_does_to_its_images_the_next_one_gets_them_as_they_were(make_job):
    everything = ("inference", "cold_start", "learning_curve")
    job = replace(make_job("zeroing"), measurements=everything)
    outcome = run_trial(job, CORE)
    record, measured = outcome.record(job, beside=0), outcome.measurement
    assert record.failure is None
    assert record.quality.accuracy == measured.train_accuracy == 1
    assert [batches.batch_size for batches in measured.inference.batches] == [1, 10]
    assert measured.cold_start is not None, outcome.log
    assert measured.learning_curve.correct == (60, 60), outcome.log


@pytest.mark.parametrize("error", ["NotImplementedError", "AttributeError"])
def test_without_probabilities_after_all_there_is_a_row_without_them(error, make_job):
    job = make_job("without_probabilities", parameters={"error": error})
    outcome = run_trial(job, CORE)
    record = outcome.record(job, beside=0)
    assert record.failure is None
    assert (record.quality.accuracy, record.quality.log_loss) == (1, None)
    assert decode_predictions(outcome.predictions).probabilities is None
    assert record.measurement.warnings == (
        "predict returns labels of shape (n, 1); expected (n,)",
        "predict returns whole numbers as float32; expected integer labels",
        f"no probabilities: predict_proba raised {error}: not for this loss",
    )


def test_a_time_limit_names_what_the_trial_waited_for(make_job):
    record = run_trial(make_job("waiting", timeout_seconds=8), CORE)
    assert record.status is Status.TIMEOUT
    message = record.failure.message
    assert message.startswith("was stopped after 8 s, its time limit, in the phase fit; ")
    assert "it had started the processes: 2 x python" in message
    assert "from multiprocessing.spawn import spawn_main" in message
    assert message.endswith("; its log ends: the work / cannot be done")
    assert "\n" not in message


def test_a_process_that_a_model_starts_finds_nothing_to_run_in_the_workers_module():
    code = "import runpy; runpy.run_module('mnistbench.trial.child', run_name='__mp_main__')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
