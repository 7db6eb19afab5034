"""The child process by itself: what it asks of a model, and what it tells its parent."""

import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.trials import CORE

from mnistbench.execution import isolation
from mnistbench.trial import failure, model
from mnistbench.trial.contract import ContractError
from mnistbench.trial.request import Request


@pytest.fixture
def request_folder(make_job, tmp_path):
    """Return a function that writes the request of a stub model's trial."""

    def write(model: str, **changes: object) -> Path:
        outbox = tmp_path / model
        outbox.mkdir()
        job = make_job(model)
        for name, content in isolation.outbox_files(job, CORE).items():
            (outbox / name).parent.mkdir(exist_ok=True)
            (outbox / name).write_bytes(content)
        request = Request.from_json((outbox / "request.json").read_bytes())
        (outbox / "request.json").write_bytes(replace(request, **changes).to_json())
        return outbox

    return write


def run_worker(outbox: Path, task: str = "fit") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "mnistbench.trial.child", task, str(outbox), "0.0"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=outbox)


def test_a_worker_answers_in_files_and_leaves_stdout_to_the_model(request_folder):
    outbox = request_folder("nearest")
    answer = run_worker(outbox)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("seed=")
    result = json.loads((outbox / "result.json").read_text())
    assert result["status"] == "ok"
    assert result["measurement"]["test_images"] == 60
    assert (outbox / "predictions.npz").is_file()
    assert json.loads((outbox / "progress.json").read_text())["phase"] == "evaluate"
    assert not list(outbox.glob("*.partial"))


def test_missing_cores_are_a_failure_with_a_message(request_folder):
    outbox = request_folder("nearest", cores=[100_000])
    run_worker(outbox)
    if hasattr(os, "sched_setaffinity"):
        result = json.loads((outbox / "result.json").read_text())
        assert (result["status"], result["failure"]["kind"]) == ("failed", "OSError")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_worker_whose_parent_is_gone_does_nothing(request_folder):
    outbox = request_folder("nearest", parent=-1)
    assert run_worker(outbox).returncode == 1
    assert not (outbox / "result.json").exists()


def test_nothing_but_the_standard_library_is_imported_before_the_cores_are_set():
    code = (
        "import sys, mnistbench.trial.child\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}\n"
        "             - {*sys.stdlib_module_names} - {*sys.builtin_module_names}))"
    )
    code = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r})\n{code}"
    answer = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['__main__', 'mnistbench']"


def test_a_saved_model_is_served_by_a_fresh_process(make_job):
    job = replace(make_job("nearest"), measurements=("inference", "cold_start"))
    before = time.monotonic()
    measured = isolation.run_trial(job, CORE).measurement
    took = time.monotonic() - before
    cold = measured.cold_start
    assert 0 < cold.predict_seconds < cold.total_seconds < took
    assert cold.import_seconds + cold.load_seconds < cold.total_seconds
    assert cold.peak_rss_bytes > 2**23
    assert len(measured.inference.latency_seconds) >= 1
    assert [b.batch_size for b in measured.inference.batches] == [1, 10]


def test_a_model_may_use_pandas_though_scikit_learn_was_imported_without_it(make_job):
    assert isolation.run_trial(make_job("tabular"), CORE).failure is None


@pytest.mark.parametrize("name", ["unpicklable", "moving"])
def test_without_a_saved_model_there_is_no_cold_start_but_a_record(make_job, name):
    job = replace(make_job(name), measurements=("cold_start",))
    record = isolation.run_trial(job, CORE)
    assert record.failure is None
    assert (record.measurement.cold_start is None) == (name == "unpicklable")


@pytest.mark.parametrize(("split", "images"), [("test", 60), ("validation", 40)])
def test_a_learning_curve_is_of_the_timed_training_on_the_images_that_judge_the_trial(
    make_job, split, images
):
    job = replace(make_job("learning", split=split), measurements=("learning_curve",))
    measured = isolation.run_trial(job, CORE).measurement
    curve = measured.learning_curve
    assert (curve.unit, curve.images, curve.second_training) == ("class", images, False)
    assert curve.done == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert curve.correct == tuple(images // 10 * done for done in curve.done)
    assert all(a < b for a, b in itertools.pairwise((0, *curve.seconds, measured.fit_seconds)))


@pytest.mark.parametrize(("name", "note"), [("nearest", ""), ("staging_badly", "no such stage")])
def test_without_a_learning_curve_the_trial_is_as_good(make_job, name, note):
    job = replace(make_job(name), measurements=("learning_curve",))
    outcome = isolation.run_trial(job, CORE)
    assert outcome.failure is None
    assert outcome.measurement.learning_curve is None
    assert note in outcome.log.decode()
    assert bool(note) == ("No learning curve was measured" in outcome.log.decode())


def test_parts_of_a_pipeline_are_asked_from_the_last():
    first, last = (
        SimpleNamespace(on_progress=None, device_="gpu:0"),
        SimpleNamespace(on_progress=None, engine_="E 1"),
    )
    pipeline = SimpleNamespace(steps=[("a", first), ("b", last)])
    model.set_progress(pipeline, print)
    assert first.on_progress is last.on_progress is print
    assert not hasattr(pipeline, "on_progress")
    assert model.attribute(pipeline, "device_") == "gpu:0"
    assert model.engine(pipeline) == "E 1"


def test_the_engine_is_the_library_that_fitted_the_model():
    import sklearn
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    class Own(LogisticRegression):
        pass

    Own.__module__ = "mnistbench_model_own"
    X, y = np.eye(6), np.arange(6) % 3
    plain = [LogisticRegression(), make_pipeline(LogisticRegression()), Own()]
    plain.append(OneVsRestClassifier(LogisticRegression()).fit(X, y))
    assert {model.engine(each) for each in plain} == {f"scikit-learn {sklearn.__version__}"}
    machines = [SVC().fit(X, y), OneVsRestClassifier(SVC()).fit(X, y)]
    assert {model.engine(each) for each in machines} == {f"scikit-learn {sklearn.__version__} (libsvm)"}


def test_scikit_learn_intelex_is_the_engine_only_where_one_dal_fitted_every_machine():
    fast = pytest.importorskip("sklearnex.svm").SVC
    import sklearn
    from sklearn.multiclass import OneVsRestClassifier

    X, y = np.random.default_rng(0).random((60, 4)), np.arange(60) % 3
    one_dal = f"scikit-learn-intelex {metadata.version('scikit-learn-intelex')} (oneDAL)"
    assert model.engine(fast().fit(X, y)) == one_dal
    machines = OneVsRestClassifier(fast()).fit(X, y)
    assert model.engine(machines) == one_dal
    own_kernel = fast(kernel=lambda a, b: a @ b.T).fit(X, y)  # which oneDAL lacks, so that libsvm takes over
    libsvm = f"scikit-learn {sklearn.__version__} (libsvm)"
    assert model.engine(own_kernel) == libsvm
    machines.estimators_[1] = own_kernel
    assert model.engine(machines) == libsvm


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ContractError("x"), "invalid"),
        (MemoryError(), "out_of_memory"),
        (ModuleNotFoundError("x"), "unavailable"),
        (ImportError("x"), "unavailable"),
        (failure.Refused("x"), "refused"),
        (ValueError("x"), "failed"),
        (SystemExit(0), "failed"),
        (KeyboardInterrupt(), "failed"),
    ],
)
def test_every_exception_has_its_status(error, status):
    assert failure.status_of(error) == status


def test_a_failure_is_one_line_of_bounded_length():
    described = failure.failure_of(ValueError("a\n\n  b\t" + "c" * 5000))
    assert described["message"].startswith("a b ccc")
    assert len(described["message"]) == 1000
    assert failure.failure_of(MemoryError())["message"] == "no message"
    surrogate = failure.failure_of(ValueError("a \ud800"))
    assert surrogate["message"] == "a \\ud800"
    surrogate["traceback"].encode()
