"""The child process: one trial in, one measurement out.

`python -m mnistbench.trial.child fit FOLDER STARTED` reads FOLDER/request.json and writes FOLDER/result.json
and FOLDER/predictions.npz: never stdout, where libraries print. With `serve` in place of `fit` it then
measures a cold start from the model that the first saved, and with `learn` it trains a second time for a
learning curve. STARTED is the parent's `time.perf_counter`. Nothing but the standard library, `contract`,
`progress` and `request` is imported before the process is tied to its cores, so that every thread pool sees
only those.

What a model starts with `multiprocessing` or joblib imports this module again, to find there what it pickled
of `__main__`: whatever is done once a trial belongs into `main`.
"""

import contextlib
import copy
import ctypes
import faulthandler
import gc
import os
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistbench.trial.contract import ContractError, check_estimator, checked_labels, checked_probabilities
from mnistbench.trial.progress import Progress, write_json
from mnistbench.trial.request import MODULES, Request

if TYPE_CHECKING:
    from mnistbench.runs.records import ColdStart, Inference, LearningCurve, Measurement

_TRAIN_SAMPLE = 1_000
_INFERENCE_SECONDS = 1.0
_BATCH_SIZES = (1, 10, 100, 1_000, 10_000)
_KEPT_WARNINGS = 20
_FURTHER_TASKS = 8_192  # threads, of this trial and of all else that the same user starts meanwhile
_KERAS_BACKEND = os.environ.get("KERAS_BACKEND")  # as the user set it; a model may set it for itself
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
_WRAPPERS = {"builtins", "mnistbench", "sklearnex", "daal4py"}


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
        measured = _TASKS[task](request, outbox, float(sys.argv[3]))
        result: dict[str, Any] = {"status": "ok", "measurement": asdict(measured)}
    except BaseException as error:  # whatever a model raises is this trial's result
        result = {"status": _status_of(error), "failure": _failure_of(error)}
        with contextlib.suppress(OSError, ValueError):  # the model closed it
            traceback.print_exception(error, file=sys.__stderr__)
    write_json(outbox / "result.json", result)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the model closed it, or put an object of its own there
            stream.flush()
    os._exit(0)  # threads that a model left running must not keep the process


def run(request: Request, outbox: Path, _started: float) -> "Measurement":
    """Import, build, fit and predict one trial; write its predictions into the outbox.

    Raises:
        ContractError: The estimator broke scikit-learn's contract.
        Exception: Whatever the model raised.
    """
    progress = Progress(outbox / "progress.json")
    notes: dict[str, None] = {}
    warned = _collect_warnings()

    progress.phase("import")
    before = time.perf_counter()
    build = _import_build(request, outbox)
    import_seconds = time.perf_counter() - before

    import numpy as np

    from mnistbench.runs.predictions import encode_predictions
    from mnistbench.runs.records import Measurement
    from mnistbench.trial.measure import LoadMeter, peak_rss_bytes, rss_bytes, saved_bytes, timed

    progress.phase("load")
    load = timed(lambda: _load(request, request.split))
    x_train, y_train, x_eval, image_shape = load.value
    load_seconds, train_count, eval_count = load.wall_seconds, len(x_train), len(x_eval)
    image = x_eval[:1].copy()
    del load

    progress.phase("build")
    built = timed(lambda: build(**_arguments(request, image_shape)))
    estimator = built.value
    check_estimator(estimator)
    _set_progress(estimator, progress.step)
    baseline = rss_bytes()

    progress.phase("fit")
    gc.collect()  # a tenth of a second where Keras is loaded, which a collection in `fit` would add to it
    meter = LoadMeter()
    fit = timed(partial(estimator.fit, x_train, y_train))
    progress.phase("predict")
    gc.collect(1)  # of what `fit` left; the whole would take as long again
    first_image = image.copy()
    first = timed(partial(estimator.predict, first_image))
    predict = timed(partial(estimator.predict, x_eval))
    load_meanwhile = meter.read(fit.cpu_seconds + first.cpu_seconds + predict.cpu_seconds)
    peak, source = peak_rss_bytes()

    progress.phase("evaluate")
    # `fit` and `predict` may have changed what they were given (scikit-learn's copy=False does), so that
    # what follows starts from the pixels on disk again; by now the peak of the memory has been read.
    del x_train, y_train, x_eval
    sample = np.linspace(0, train_count - 1, min(_TRAIN_SAMPLE, train_count)).astype(int)
    x_sample, y_sample, x_eval, _ = _load(request, request.split, sample)
    class_count = len(request.classes)
    encoded = checked_labels(predict.value, eval_count, class_count, notes)
    checked_labels(first.value, 1, class_count, notes)
    probabilities = _probabilities(estimator, x_eval, encoded, class_count, notes)
    on_train = checked_labels(estimator.predict(x_sample), len(sample), class_count, notes)
    train_accuracy = float(np.mean(on_train == y_sample))
    inference = None
    if "inference" in request.measurements:
        x_eval = _load(request, request.split, sample)[2]
        inference = _inference(estimator, x_eval)
    _set_progress(estimator, None)  # the suite's own callback is no part of the model that is saved
    if "cold_start" in request.measurements:
        with contextlib.suppress(Exception):  # a model that cannot be saved has no cold start
            _save(estimator, image, outbox)
    if "learning_curve" in request.measurements and hasattr(_parts(estimator)[-1], "on_progress"):
        (outbox / "iterative").touch()

    labels = np.asarray(request.classes, dtype=np.int64)[encoded]
    (outbox / "predictions.npz").write_bytes(encode_predictions(labels, probabilities))
    return Measurement(
        import_seconds=import_seconds,
        load_seconds=load_seconds,
        build_seconds=built.wall_seconds,
        fit_seconds=fit.wall_seconds,
        fit_cpu_seconds=fit.cpu_seconds,
        first_predict_seconds=first.wall_seconds,
        predict_seconds=predict.wall_seconds,
        predict_cpu_seconds=predict.cpu_seconds,
        peak_rss_bytes=peak,
        baseline_rss_bytes=baseline,
        memory_source=source,
        model_bytes=saved_bytes(estimator),
        train_images=train_count,
        test_images=eval_count,
        train_accuracy=train_accuracy,
        engine=_engine(estimator),
        device=str(_attribute(estimator, "device_") or "cpu"),
        warnings=(*notes, *warned),
        load=load_meanwhile,
        inference=inference,
    )


def serve(request: Request, outbox: Path, started: float) -> "ColdStart":
    """Load the model that `run` saved a moment ago and predict one image, as a fresh process must.

    `started` is the `time.perf_counter` of the parent just before it started this process.

    The saved model is unpickled because this suite wrote it, in a folder of this trial's own; no pickle
    that comes from elsewhere is ever read.

    Raises:
        Exception: Whatever loading or predicting raised.
    """
    import pickle

    before = time.perf_counter()
    _import_build(request, outbox)
    import_seconds = time.perf_counter() - before
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

    return ColdStart(
        total_seconds=ready - started,
        import_seconds=import_seconds,
        load_seconds=load_seconds,
        predict_seconds=ready - before,
        peak_rss_bytes=peak_rss_bytes()[0],
    )


def learn(request: Request, outbox: Path, _started: float) -> "LearningCurve":
    """Train once more, without the hold-out, and note how the accuracy on the hold-out grows.

    Raises:
        ContractError: The model never told how far it had come.
        Exception: Whatever the model raised.
    """
    progress = Progress(outbox / "progress.json")
    progress.phase("learn")
    build = _import_build(request, outbox)

    from mnistbench.trial.measure import CurveRecorder

    x_train, y_train, x_holdout, image_shape = _load(request, "validation")
    y_holdout = _holdout_labels(request)
    estimator = build(**_arguments(request, image_shape))
    *before, last = _parts(estimator)
    transformed: Any = None

    def count_correct() -> int:
        nonlocal transformed
        if transformed is None:  # by now the steps before the last are fitted
            transformed = x_holdout
            for step in before[1:]:
                transformed = step.transform(transformed)
        labels = last.predict(copy.deepcopy(transformed))  # which it may change
        return int((checked_labels(labels, len(y_holdout), len(request.classes), {}) == y_holdout).sum())

    def note(done: int, total: int, unit: str) -> None:
        progress.step(done, total, unit)
        recorder.note(done, total, unit)

    last.on_progress = note
    recorder = CurveRecorder(count_correct, len(y_holdout))
    estimator.fit(x_train, y_train)
    curve = recorder.curve()
    if curve is None:
        raise ContractError("the estimator has an attribute on_progress, and never called it")
    return curve


_TASKS: dict[str, Callable[[Request, Path, float], Any]] = {"fit": run, "serve": serve, "learn": learn}


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


def _import_build(request: Request, outbox: Path) -> Callable[..., Any]:
    """Import the model from the outbox and return its `build`.

    The processes that the model starts get `sys.path` from this one, and import its functions and classes
    from there too. It comes last, so that no file of a model's hides a library.
    """
    sys.path.append(str(outbox.resolve() / MODULES))
    __import__(request.module)  # unlike importlib.import_module, it leaves no frames in a traceback
    build = getattr(sys.modules[request.module], "build", None)
    if not callable(build):
        raise ContractError("the model's file has no function `build` once it is imported")
    return build  # type: ignore[no-any-return]


def _arguments(request: Request, image_shape: tuple[int, int]) -> dict[str, Any]:
    """Return all arguments of `build`: what it wants from the suite, and its parameters.

    Keras is loaded here where `build` asks for it, so that no fit pays for that.
    """
    from mnistbench.runs.json import plain_value

    parameters = {name: plain_value(value) for name, value in request.parameters.items()}
    context = {"seed": request.seed, "threads": request.threads, "image_shape": image_shape}
    if "keras" in request.supplied:
        from mnistbench.estimators.neural import load_keras

        load_keras(request.keras["backend"], request.threads)
        context["keras"] = {**request.keras, "threads": request.threads}
    return {name: context[name] for name in request.supplied} | parameters


def _load(
    request: Request, split_name: str, train_rows: Any = slice(None)
) -> tuple[Any, Any, Any, tuple[int, int]]:
    """Return x_train, y_train, x_eval and the image shape: float32 in [0, 1], flat; labels 0..k-1.

    Of the training images it gives those in `train_rows`. Where the split has fewer training images than
    are asked for, it chooses from all that it has.
    """
    import numpy as np

    from mnistbench.datasets import open_arrays
    from mnistbench.datasets.holdout import holdout_count
    from mnistbench.datasets.splits import split

    arrays = open_arrays(request.arrays_folder)
    available = len(arrays.x_train)
    if split_name == "validation":
        available -= holdout_count(available)
    size = request.train_size if request.train_size is not None and request.train_size < available else None
    chosen = split(arrays, split_name, size, request.subset_seed, request.holdout)

    def scaled(images: Any) -> Any:
        rows = np.array(images, dtype=np.float32).reshape(len(images), -1)
        rows /= 255
        return rows

    height, width = chosen.x_train.shape[1:]
    labels = _encoded(chosen.y_train[train_rows], request.classes)
    return scaled(chosen.x_train[train_rows]), labels, scaled(chosen.x_eval), (height, width)


def _holdout_labels(request: Request) -> Any:
    """Return the labels of the images that `--validation` is judged by, 0..k-1."""
    from mnistbench.datasets import open_arrays
    from mnistbench.datasets.splits import evaluation_labels

    arrays = open_arrays(request.arrays_folder)
    return _encoded(evaluation_labels(arrays, "validation", request.holdout), request.classes)


def _encoded(labels: Any, classes: Sequence[int]) -> Any:
    import numpy as np

    return np.searchsorted(np.asarray(classes), labels).astype(np.int64)


def _probabilities(
    estimator: Any, images: Any, encoded: Any, class_count: int, notes: dict[str, None]
) -> Any | None:
    """Return the checked probabilities; None where the estimator has no `predict_proba` that works."""
    try:
        if not hasattr(estimator, "predict_proba"):
            return None
        probabilities = estimator.predict_proba(images)
    except (NotImplementedError, AttributeError) as error:
        reason = f"{type(error).__name__}: {_one_line(error)[:200]}".removesuffix(": ")
        notes[f"no probabilities: predict_proba raised {reason}"] = None
        return None
    return checked_probabilities(probabilities, encoded, class_count, notes)


def _inference(estimator: Any, images: Any) -> "Inference":
    from mnistbench.runs.records import Inference
    from mnistbench.trial.measure import latencies, throughput

    return Inference(
        latency_seconds=latencies(estimator.predict, images, _INFERENCE_SECONDS),
        batches=throughput(estimator.predict, images, _BATCH_SIZES, _INFERENCE_SECONDS / 4),
    )


def _save(estimator: Any, image: Any, outbox: Path) -> None:
    """Save what a serving process needs: the model, and one image to predict."""
    import pickle

    import numpy as np

    np.save(outbox / "image.npy", image)
    with (outbox / "model.pickle").open("wb") as file:
        pickle.dump(estimator, file, protocol=5)


def _set_progress(estimator: Any, report: Callable[[int, int, str], None] | None) -> None:
    for part in _parts(estimator):
        if hasattr(part, "on_progress"):
            part.on_progress = report


def _attribute(estimator: Any, name: str) -> Any:
    """Return an attribute of the estimator or, in a pipeline, of the last step that has it."""
    for part in reversed(_parts(estimator)):
        value = getattr(part, name, None)
        if value is not None:
            return value
    return None


def _parts(estimator: Any) -> list[Any]:
    steps = getattr(estimator, "steps", None)
    return [estimator, *(step for _, step in steps)] if isinstance(steps, list) else [estimator]


def _engine(estimator: Any) -> str:
    """Name the library that did the work: as the estimator says, else where its class comes from."""
    said = _attribute(estimator, "engine_")
    if said:
        return str(said)
    last = _parts(estimator)[-1]
    members = getattr(last, "__dict__", {}).get("estimators_")
    workers = members if isinstance(members, list) and members else [last]
    # scikit-learn-intelex falls back to scikit-learn without a warning: then oneDAL has fitted nothing.
    if all(getattr(worker, "_onedal_estimator", None) is not None for worker in workers):
        from importlib.metadata import version

        return f"scikit-learn-intelex {version('scikit-learn-intelex')} (oneDAL)"
    part = " (libsvm)" if any(kind.__name__ == "BaseLibSVM" for kind in type(workers[0]).__mro__) else ""
    for kind in type(last).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _WRAPPERS or package.startswith(("mnistbench_model_", "_")):
            continue
        release = getattr(sys.modules.get(package), "__version__", "")
        return f"{_DISTRIBUTIONS.get(package, package)} {release}{part}".strip()
    return "its own code"


def _collect_warnings() -> dict[str, None]:
    """Note the first distinct warnings from now on, in order, as the keys of what is returned."""
    said: dict[str, None] = {}
    original = warnings.showwarning

    def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if len(said) < _KEPT_WARNINGS:
            said[f"{category.__name__}: {_one_line(message)[:200]}"] = None
        with contextlib.suppress(ValueError):  # the model closed stderr
            original(message, category, *where, **more)

    warnings.showwarning = note
    return said


def _status_of(error: BaseException) -> str:
    if isinstance(error, ContractError):
        return "invalid"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, ImportError):
        return "unavailable"
    return "failed"


def _failure_of(error: BaseException) -> dict[str, str]:
    text = "".join(traceback.format_exception(error))
    message = (_one_line(error)[:1000] or "no more is said") + _way_out(error)
    return {"kind": type(error).__name__, "message": message, "traceback": text[-8000:]}


def _way_out(error: BaseException) -> str:
    """Return what to do about a library, or a file beside the model, that was not found; else nothing."""
    missing = str(getattr(error, "name", None) or "").partition(".")[0]
    if _KERAS_BACKEND and (missing == _KERAS_BACKEND or "Unable to import backend" in _one_line(error)):
        return (
            f"; the environment variable KERAS_BACKEND asks for {_KERAS_BACKEND}: install it, or unset that"
        )
    if isinstance(error, ModuleNotFoundError) and missing:
        for frame in traceback.extract_tb(error.__traceback__):
            beside = Path(frame.filename).with_name(f"{missing}.py")
            if beside.is_file() and not re.search(rb"^(def\s+build\b|build\s*=)", beside.read_bytes(), re.M):
                return (
                    f"; name the file beside it _{missing}.py: "
                    'what models import, and is no model, has a name that starts with "_"'
                )
    return ""


def _one_line(said: object) -> str:
    try:
        return " ".join(str(said).split())
    except Exception:  # an exception's own __str__ may raise anything
        return ""


if __name__ == "__main__":
    main()
