"""The child process: one trial in, one measurement out.

`python -m mnistbench.trial.child TASK FOLDER STARTED` reads FOLDER/request.json and writes
FOLDER/result.json: never stdout, where libraries print. TASK is "fit", which also writes
FOLDER/predictions.npz, or one of the measurements that the fit names in its result because they need a
process of their own: "cold_start", "learning_curve". STARTED is the parent's `time.perf_counter`. Nothing
but the standard library, and modules of this package that import no more, is loaded before the process is
tied to its cores, so that every thread pool sees only those.

What a model starts with `multiprocessing` or joblib imports this module again, to find there what it pickled
of `__main__`: whatever is done once a trial belongs into `main`.
"""

import contextlib
import copy
import ctypes
import faulthandler
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistbench.trial.contract import ContractError, check_estimator, checked_labels, probabilities_of
from mnistbench.trial.failure import collect_warnings, failure_of, status_of
from mnistbench.trial.model import arguments, attribute, engine, import_build, parts, set_progress
from mnistbench.trial.progress import Progress, write_json
from mnistbench.trial.request import Request

if TYPE_CHECKING:
    from mnistbench.runs.records import Inference

_TRAIN_SAMPLE = 1_000
_INFERENCE_SECONDS = 1.0
_BATCH_SIZES = (1, 10, 100, 1_000, 10_000)
_FURTHER_TASKS = 8_192  # threads, of this trial and of all else that the same user starts meanwhile


def main() -> None:
    """Do what the command line names for the trial in the folder that it names, then leave at once."""
    faulthandler.enable()
    task, outbox = sys.argv[1], Path(sys.argv[2])
    request = Request.from_json((outbox / "request.json").read_bytes())
    _die_with(request.parent)
    _die_first()
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, request.cores)
        result = {"status": "ok", **_TASKS[task](request, outbox, float(sys.argv[3]))}
    except BaseException as error:  # whatever a model raises is this trial's result
        result = {"status": status_of(error), "failure": failure_of(error)}
        with contextlib.suppress(OSError, ValueError):  # the model closed it
            traceback.print_exception(error, file=sys.__stderr__)
    write_json(outbox / "result.json", result)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the model closed it, or put an object of its own there
            stream.flush()
    os._exit(0)  # threads that a model left running must not keep the process


def fit(request: Request, outbox: Path, _started: float) -> dict[str, Any]:
    """Import, build, fit and predict one trial; write its predictions into the outbox.

    Returns:
        The fields of its `Measurement`, and the names of those that are to be measured in further processes.

    Raises:
        ContractError: The estimator broke scikit-learn's contract.
        Exception: Whatever the model raised.
    """
    progress = Progress(outbox / "progress.json")
    notes: dict[str, None] = {}
    warned = collect_warnings()

    progress.phase("import")
    build, import_seconds = _imported(request, outbox)

    from mnistbench.runs.records import Measurement
    from mnistbench.trial.images import load_images
    from mnistbench.trial.measure import LoadMeter, peak_rss_bytes, rss_bytes, saved_bytes, timed

    progress.phase("load")
    load = timed(lambda: load_images(request, request.split))
    images, shape, load_seconds = load.value, load.value.shape, load.wall_seconds
    train_count, eval_count, image = len(images.x_train), len(images.x_eval), images.x_eval[:1].copy()
    del load

    progress.phase("build")
    built = timed(lambda: build(**arguments(request, shape)))
    estimator = built.value
    check_estimator(estimator)
    set_progress(estimator, progress.step)
    baseline = rss_bytes()

    progress.phase("fit")
    gc.collect()  # a tenth of a second where Keras is loaded, which a collection in `fit` would add to it
    meter = LoadMeter()
    fitted = timed(partial(estimator.fit, images.x_train, images.y_train))
    progress.phase("predict")
    gc.collect(1)  # of what `fit` left; the whole would take as long again
    first_image = image.copy()
    first = timed(partial(estimator.predict, first_image))
    predicted = timed(partial(estimator.predict, images.x_eval))
    load_meanwhile = meter.read(fitted.cpu_seconds + first.cpu_seconds + predicted.cpu_seconds)
    peak, source = peak_rss_bytes()

    progress.phase("evaluate")
    del images
    train_accuracy = _evaluated(request, estimator, first.value, predicted.value, notes, outbox)
    inference = _inference(request, estimator) if "inference" in request.measurements else None
    set_progress(estimator, None)  # the suite's own callback is no part of the model that is saved
    measurement = Measurement(
        import_seconds=import_seconds,
        load_seconds=load_seconds,
        build_seconds=built.wall_seconds,
        fit_seconds=fitted.wall_seconds,
        fit_cpu_seconds=fitted.cpu_seconds,
        first_predict_seconds=first.wall_seconds,
        predict_seconds=predicted.wall_seconds,
        predict_cpu_seconds=predicted.cpu_seconds,
        peak_rss_bytes=peak,
        baseline_rss_bytes=baseline,
        memory_source=source,
        model_bytes=saved_bytes(estimator),
        train_images=train_count,
        test_images=eval_count,
        train_accuracy=train_accuracy,
        engine=engine(estimator),
        device=str(attribute(estimator, "device_") or "cpu"),
        warnings=(*notes, *warned),
        load=load_meanwhile,
        inference=inference,
    )
    return {"measurement": asdict(measurement), "further": _further(request, estimator, image, outbox)}


def cold_start(request: Request, outbox: Path, started: float) -> dict[str, Any]:
    """Load the model that `fit` saved a moment ago and predict one image, as a fresh process must.

    The saved model is unpickled because this suite wrote it, in a folder of this trial's own; no pickle
    that comes from elsewhere is ever read.

    Args:
        request: The trial.
        outbox: Its folder.
        started: The `time.perf_counter` of the parent just before it started this process.

    Returns:
        The fields of a `ColdStart`.

    Raises:
        Exception: Whatever loading or predicting raised.
    """
    import pickle

    _, import_seconds = _imported(request, outbox)
    before = time.perf_counter()
    with (outbox / "model.pickle").open("rb") as file:
        estimator = pickle.load(file)  # noqa: S301 - see the docstring
    load_seconds = time.perf_counter() - before

    import numpy as np

    image = np.load(outbox / "image.npy", allow_pickle=False)
    before = time.perf_counter()
    estimator.predict(image)
    ready = time.perf_counter()

    from mnistbench.runs.records import ColdStart
    from mnistbench.trial.measure import peak_rss_bytes

    measured = ColdStart(
        total_seconds=ready - started,
        import_seconds=import_seconds,
        load_seconds=load_seconds,
        predict_seconds=ready - before,
        peak_rss_bytes=peak_rss_bytes()[0],
    )
    return {"measurement": asdict(measured)}


def learning_curve(request: Request, outbox: Path, _started: float) -> dict[str, Any]:
    """Train once more, without the hold-out, and note how the accuracy on the hold-out grows.

    Returns:
        The fields of a `LearningCurve`.

    Raises:
        ContractError: The model never called `on_progress`.
        Exception: Whatever the model raised.
    """
    progress = Progress(outbox / "progress.json")
    progress.phase("learn")
    build, _ = _imported(request, outbox)

    from mnistbench.trial.images import load_images
    from mnistbench.trial.measure import CurveRecorder

    images = load_images(request, "validation")
    estimator = build(**arguments(request, images.shape))
    *before, last = parts(estimator)
    transformed: Any = None

    def count_correct() -> int:
        nonlocal transformed
        if transformed is None:  # by now the steps before the last are fitted
            transformed = images.x_eval
            for step in before[1:]:
                transformed = step.transform(transformed)
        labels = last.predict(copy.deepcopy(transformed))  # which it may change
        correct = checked_labels(labels, len(images.y_eval), len(request.classes), {}) == images.y_eval
        return int(correct.sum())

    def note(done: int, total: int, unit: str) -> None:
        progress.step(done, total, unit)
        recorder.note(done, total, unit)

    last.on_progress = note
    recorder = CurveRecorder(count_correct, len(images.y_eval))
    estimator.fit(images.x_train, images.y_train)
    curve = recorder.curve()
    if curve is None:
        raise ContractError("the estimator has an attribute on_progress, and never called it")
    return {"measurement": asdict(curve)}


_TASKS: dict[str, Callable[[Request, Path, float], dict[str, Any]]] = {
    "fit": fit,
    "cold_start": cold_start,
    "learning_curve": learning_curve,
}


def _imported(request: Request, outbox: Path) -> tuple[Callable[..., Any], float]:
    """Return the model's `build`, and the seconds that it took to import it."""
    before = time.perf_counter()
    build = import_build(request, outbox)
    return build, time.perf_counter() - before


def _evaluated(
    request: Request, estimator: Any, first: Any, predicted: Any, notes: dict[str, None], outbox: Path
) -> float:
    """Check what the timed calls of `predict` returned, write the predictions, return the train accuracy.

    `fit` and `predict` may have changed the images they were given (scikit-learn's copy=False does), so this
    starts from the pixels on disk again; by now the peak of the memory has been read.
    """
    import numpy as np

    from mnistbench.runs.predictions import encode_predictions
    from mnistbench.trial.images import load_images

    classes = np.asarray(request.classes, dtype=np.int64)
    images = load_images(request, request.split, most_train=_TRAIN_SAMPLE)
    encoded = checked_labels(predicted, len(images.x_eval), len(classes), notes)
    checked_labels(first, 1, len(classes), notes)
    probabilities = probabilities_of(estimator, images.x_eval, encoded, len(classes), notes)
    (outbox / "predictions.npz").write_bytes(encode_predictions(classes[encoded], probabilities))
    on_train = estimator.predict(images.x_train)
    correct = checked_labels(on_train, len(images.y_train), len(classes), notes) == images.y_train
    return float(np.mean(correct))


def _inference(request: Request, estimator: Any) -> "Inference":
    from mnistbench.runs.records import Inference
    from mnistbench.trial.images import load_images
    from mnistbench.trial.measure import latencies, throughput

    images = load_images(request, request.split, most_train=0).x_eval
    return Inference(
        latency_seconds=latencies(estimator.predict, images, _INFERENCE_SECONDS),
        batches=throughput(estimator.predict, images, _BATCH_SIZES, _INFERENCE_SECONDS / 4),
    )


def _further(request: Request, estimator: Any, image: Any, outbox: Path) -> list[str]:
    """Return the measurements that are to be taken in further processes, and leave there what they need."""
    names = []
    if "cold_start" in request.measurements:
        with contextlib.suppress(Exception):  # a model that cannot be saved has no cold start
            _save(estimator, image, outbox)
            names.append("cold_start")
    if "learning_curve" in request.measurements and hasattr(parts(estimator)[-1], "on_progress"):
        names.append("learning_curve")
    return names


def _save(estimator: Any, image: Any, outbox: Path) -> None:
    """Save what a serving process needs: the model, and one image to predict."""
    import pickle

    import numpy as np

    np.save(outbox / "image.npy", image)
    with (outbox / "model.pickle").open("wb") as file:
        pickle.dump(estimator, file, protocol=5)


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, however it dies (Linux, prctl(2))."""
    if not sys.platform.startswith("linux"):
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _die_first() -> None:
    """Let Linux choose this process when memory runs out, not the run, and bound how often it may fork.

    That bound (setrlimit(2), RLIMIT_NPROC) counts all threads of the user; it does not hold root.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with contextlib.suppress(OSError, ValueError, IndexError):
        tasks = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        bound = tasks + _FURTHER_TASKS
        if most == resource.RLIM_INFINITY or bound < most:
            resource.setrlimit(resource.RLIMIT_NPROC, (bound, bound))


if __name__ == "__main__":
    main()
