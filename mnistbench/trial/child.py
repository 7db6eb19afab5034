"""The child process: one trial in, one measurement out.

`python -m mnistbench.trial.child TASK FOLDER STARTED` reads FOLDER/request.json and writes
FOLDER/result.json: never stdout, where libraries print. TASK is "fit", which also writes
FOLDER/predictions.npz, or one of the measurements listed in its result that need another process:
"cold_start". STARTED is the parent's `time.perf_counter`. Until the process is pinned to
its cores it loads only the standard library, and modules of this package that import no more, so that every
thread pool sees only those cores.

A model's own processes, of `multiprocessing` or joblib, import this module again for the pickled objects of
`__main__`, so what must happen once per trial belongs in `main`.
"""

import contextlib
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

from mnistbench.trial.contract import checked_estimator, checked_labels, probabilities_of
from mnistbench.trial.failure import Refused, collect_warnings, failure_of, status_of
from mnistbench.trial.model import (
    ScikitLearnAlone,
    arguments,
    attribute,
    engine,
    import_build,
    note_stages,
    parts,
    set_progress,
)
from mnistbench.trial.progress import Progress, write_json
from mnistbench.trial.request import Request

if TYPE_CHECKING:
    from mnistbench.runs.records import Inference, LearningCurve
    from mnistbench.trial.images import Images
    from mnistbench.trial.measure import Stages, Timed

_TRAIN_SAMPLE = 1_000
_INFERENCE_SECONDS = 0.5
_BATCH_SIZES = (10, 100, 1_000)  # the timed prediction is a batch of all images
_FURTHER_TASKS = 8_192  # threads, of this trial and of the same user's other new processes


def main() -> None:
    """Run the task on the command line for the trial in the folder, write its result and exit at once."""
    faulthandler.enable()
    task, outbox = sys.argv[1], Path(sys.argv[2])
    request = Request.from_json((outbox / "request.json").read_bytes())
    _end_with(request.parent)
    _be_killed_first()
    gc.disable()  # imports make no garbage; with TensorFlow's, looking for it takes half a second
    sys.meta_path.insert(0, ScikitLearnAlone())
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, request.cores)
        result = {"status": "ok", **_TASKS[task](request, outbox, float(sys.argv[3]))}
    except BaseException as error:  # whatever a model raises is this trial's result
        result = {"status": status_of(error), "failure": failure_of(error)}
        _log(error)
    write_json(outbox / "result.json", result)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the model closed or replaced it
            stream.flush()
    os._exit(0)  # threads that a model left running must not keep the process


def _log(error: BaseException) -> None:
    with contextlib.suppress(OSError, ValueError):  # the model closed it
        traceback.print_exception(error, file=sys.__stderr__)


def fit(request: Request, outbox: Path, _started: float) -> dict[str, Any]:
    """Import, build, fit and predict one trial; write its predictions into the outbox.

    Returns:
        The fields of its `Measurement`, and the names of the measurements that need further processes.

    Raises:
        ContractError: The estimator violates scikit-learn's contract.
    """
    progress = Progress(outbox / "progress.json")
    notes: dict[str, None] = {}
    warned = collect_warnings()

    progress.phase("import")
    build, import_seconds = _imported(request, outbox)

    from mnistbench.estimators.blocks import learns_by_blocks
    from mnistbench.runs.records import Measurement
    from mnistbench.trial.images import load_images
    from mnistbench.trial.measure import Stages, rss_bytes, saved_bytes, timed

    progress.phase("load")
    load = timed(lambda: load_images(request, most_train=0 if request.synthetic else None))
    images, shape, load_seconds = load.value, load.value.shape, load.wall_seconds
    del load
    train_count = (request.synthetic and request.train_size) or len(images.x_train)
    eval_count, image = len(images.x_eval), images.x_eval[:1].copy()

    progress.phase("build")
    built = timed(lambda: build(**arguments(request, shape)))
    estimator = checked_estimator(built.value)
    set_progress(estimator, progress.step)
    stages = Stages(progress.step)
    if "learning_curve" in request.measurements:
        note_stages(estimator, stages.note)
    train: Callable[[], Any] = partial(estimator.fit, images.x_train, images.y_train)
    way = ""
    if request.synthetic:
        opened = timed(lambda: _training_beyond(request, estimator))
        (train, way), load_seconds = opened.value, load_seconds + opened.wall_seconds
        del opened
    baseline = rss_bytes()

    fitted, first, predicted, costs = _timed_training(estimator, train, images, image, progress)
    progress.phase("evaluate")
    del images, train
    train_accuracy = _evaluated(request, estimator, first.value, predicted.value, notes, outbox)
    further = _further(request, estimator, image, outbox)  # before the extra predictions, which may change it
    measurement = Measurement(
        import_seconds=import_seconds,
        load_seconds=load_seconds,
        build_seconds=built.wall_seconds,
        **costs,
        baseline_rss_bytes=baseline,
        model_bytes=saved_bytes(estimator),
        train_images=train_count,
        test_images=eval_count,
        train_accuracy=train_accuracy,
        engine=engine(estimator) + way,
        device=str(attribute(estimator, "device_") or "cpu"),
        warnings=(*notes, *warned),
        threads_used=request.threads,
        learns_by_blocks=learns_by_blocks(estimator),
        inference=_inference(request, estimator),
        learning_curve=_learning_curve(request, estimator, stages, fitted.began),
        copies_sha256=_robustness(request, estimator, outbox),
    )
    return {"measurement": asdict(measurement), "further": further}


def cold_start(request: Request, outbox: Path, started: float) -> dict[str, Any]:
    """Load the model that `fit` has just saved, predict one image, and return the fields of a `ColdStart`.

    `started` is the parent's `time.perf_counter` just before it started this process. Unpickling is safe
    because this suite wrote the file, in the trial's private folder; no other pickle is ever read.
    """
    import pickle

    _, import_seconds = _imported(request, outbox)
    before = time.perf_counter()
    with (outbox / "model.pickle").open("rb") as file:
        estimator = pickle.load(file)  # noqa: S301 - see the docstring
    load_seconds = time.perf_counter() - before
    gc.enable()

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


_TASKS: dict[str, Callable[[Request, Path, float], dict[str, Any]]] = {
    "fit": fit,
    "cold_start": cold_start,
}


def _imported(request: Request, outbox: Path) -> tuple[Callable[..., Any], float]:
    """Return the model's `build` and the seconds that its import took."""
    before = time.perf_counter()
    build = import_build(request, outbox)
    return build, time.perf_counter() - before


def _training_beyond(request: Request, estimator: Any) -> tuple[Callable[[], Any], str]:
    """Return the call that trains on synthetic images too, and what to add to the engine.

    An estimator that learns by blocks reads them as it trains; any other gets all in memory.

    Raises:
        Refused: It is foretold to exceed its limits, which only an estimator in hand shows.
    """
    from mnistbench.estimators.blocks import fit_by_blocks, learns_by_blocks
    from mnistbench.trial.images import load_training, open_images

    by_blocks = learns_by_blocks(estimator)
    if request.too_long or (request.too_large and not by_blocks):
        raise Refused(request.forecast)
    if by_blocks:
        return partial(fit_by_blocks, estimator, open_images(request)[1]), ", by blocks"
    return partial(estimator.fit, *load_training(request)), ""


def _timed_training(
    estimator: Any, train: Callable[[], Any], images: "Images", image: Any, progress: Progress
) -> "tuple[Timed[Any], Timed[Any], Timed[Any], dict[str, Any]]":
    """Return the fit, the predictions of one image and of all, and the `Measurement` fields they give."""
    from mnistbench.trial.measure import LoadMeter, peak_rss_bytes, timed

    progress.phase("fit")
    gc.enable()
    gc.collect()  # with Keras loaded it takes a tenth of a second, which must not fall into `fit`
    meter = LoadMeter()
    fitted = timed(train)
    progress.phase("predict")
    gc.collect(1)  # the garbage of `fit`; a full collection would take as long again
    first = timed(partial(estimator.predict, image.copy()))
    predicted = timed(partial(estimator.predict, images.x_eval))
    load_meanwhile = meter.read(fitted.cpu_seconds + first.cpu_seconds + predicted.cpu_seconds)
    peak, source = peak_rss_bytes()
    costs = {
        "fit_seconds": fitted.wall_seconds,
        "fit_cpu_seconds": fitted.cpu_seconds,
        "first_predict_seconds": first.wall_seconds,
        "predict_seconds": predicted.wall_seconds,
        "predict_cpu_seconds": predicted.cpu_seconds,
        "peak_rss_bytes": peak,
        "memory_source": source,
        "load": load_meanwhile,
    }
    return fitted, first, predicted, costs


def _evaluated(
    request: Request, estimator: Any, first: Any, predicted: Any, notes: dict[str, None], outbox: Path
) -> float:
    """Check the results of the timed calls of `predict`, write them, and return the training accuracy.

    `fit` and `predict` may have changed their images (scikit-learn's copy=False does), so this reads the
    pixels from disk again; the peak of the memory has been read by now.
    """
    import numpy as np

    from mnistbench.runs.predictions import encode_predictions
    from mnistbench.trial.images import load_images

    classes = np.asarray(request.classes, dtype=np.int64)
    images = load_images(request, most_train=_TRAIN_SAMPLE)
    encoded = checked_labels(predicted, len(images.x_eval), len(classes), notes)
    checked_labels(first, 1, len(classes), notes)
    probabilities = probabilities_of(estimator, images.x_eval, encoded, len(classes), notes)
    (outbox / "predictions.npz").write_bytes(encode_predictions(classes[encoded], probabilities))
    on_train = estimator.predict(images.x_train)
    correct = checked_labels(on_train, len(images.y_train), len(classes), notes) == images.y_train
    set_progress(estimator, None)  # the suite's own callback must not be saved with the model
    return float(np.mean(correct))


def _inference(request: Request, estimator: Any) -> "Inference | None":
    if "inference" not in request.measurements:
        return None
    from mnistbench.runs.records import Inference
    from mnistbench.trial.images import load_images
    from mnistbench.trial.measure import latencies, throughput

    images = load_images(request, most_train=0).x_eval
    alone = latencies(estimator.predict, images, _INFERENCE_SECONDS)
    batches = throughput(estimator.predict, images, _BATCH_SIZES, _INFERENCE_SECONDS / 4, alone)
    return Inference(latency_seconds=alone, batches=batches)


def _learning_curve(
    request: Request, estimator: Any, stages: "Stages", began: float
) -> "LearningCurve | None":
    """Return the curve of the stages noted in the timed training, whose predictions the model makes now.

    None if it noted none. A failing `staged_predict` costs the curve, not the trial.
    """
    if not stages.reports:
        return None
    from mnistbench.trial.images import load_images

    images = load_images(request, most_train=0)
    *before, last = parts(estimator)
    try:
        rows: Any = images.x_eval
        for step in before[1:]:
            rows = step.transform(rows)
        correct = [
            int((checked_labels(labels, len(rows), len(request.classes), {}) == images.y_eval).sum())
            for labels in stages.predictions(last.staged_predict, rows)
        ]
        return stages.curve(began, len(rows), correct)
    except Exception as error:
        error.add_note("No learning curve was measured.")
        _log(error)
        return None


def _robustness(request: Request, estimator: Any, outbox: Path) -> dict[str, str] | None:
    """Predict corrupted copies of the images, add what comes of it to the predictions, and return the hashes.

    The copies are the same for every trial of a data set, and are never written to disk. A model that cannot
    predict them loses this measurement, not the trial.
    """
    if "robustness" not in request.measurements:
        return None
    from mnistbench.runs.predictions import decode_predictions, encode_predictions
    from mnistbench.trial.robustness import predict_copies

    path = outbox / "predictions.npz"
    try:
        clean = decode_predictions(path.read_bytes())
        with_probabilities = clean.probabilities is not None
        on_copies, hashes = predict_copies(request, estimator, with_probabilities=with_probabilities)
        path.write_bytes(encode_predictions(clean.labels, clean.probabilities, on_copies))
    except Exception as error:
        error.add_note("No robustness was measured.")
        _log(error)
        return None
    return hashes


def _further(request: Request, estimator: Any, image: Any, outbox: Path) -> list[str]:
    """Return the measurements that need further processes, after writing their input to the outbox."""
    names = []
    if "cold_start" in request.measurements:
        import pickle

        import numpy as np

        with contextlib.suppress(Exception):  # a model that cannot be saved has no cold start
            np.save(outbox / "image.npy", image)
            with (outbox / "model.pickle").open("wb") as file:
                pickle.dump(estimator, file, protocol=5)
            names.append("cold_start")
    return names


def _end_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies in any way (Linux, prctl(2))."""
    if not sys.platform.startswith("linux"):
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request
        os._exit(1)


def _be_killed_first() -> None:
    """Make Linux kill this process rather than the run when memory runs out, and limit its forks.

    The limit (setrlimit(2), RLIMIT_NPROC) counts all threads of the user, and does not apply to root.
    """
    if not sys.platform.startswith("linux"):
        return
    import resource

    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with contextlib.suppress(OSError, ValueError, IndexError):
        tasks = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
        _, hard_limit = resource.getrlimit(resource.RLIMIT_NPROC)
        limit = tasks + _FURTHER_TASKS
        if hard_limit == resource.RLIM_INFINITY or limit < hard_limit:
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


if __name__ == "__main__":
    main()
