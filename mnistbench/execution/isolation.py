"""One trial in a fresh process of its own, with limits that are enforced from outside.

Whatever the model does (hang, crash, leak, print, fork), this module returns a record within the time
limit, and leaves no process behind.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mnistbench import machine
from mnistbench.datasets import DatasetInfo, open_arrays
from mnistbench.datasets.splits import evaluation_labels
from mnistbench.errors import MnistbenchError
from mnistbench.execution.cgroup import ControlGroup
from mnistbench.execution.monitor import Activity, Interrupted, Watch
from mnistbench.execution.processes import (
    MARK,
    CappedLog,
    child_environment,
    kernel_kills,
    kill_tree,
    private_folder,
)
from mnistbench.plan.models import KERAS_PARAMETERS, ModelFile, cannot_be_read, sources_digest
from mnistbench.runs.json import from_json
from mnistbench.runs.predictions import Predictions, decode_predictions, predictions_digest
from mnistbench.runs.records import ColdStart, Failure, LearningCurve, Measurement, Record, Status, Trial
from mnistbench.stats.scores import quality
from mnistbench.trial.request import MODULES, Request

_TOLD_LINES = 3  # of the log, in the message of a time limit

__all__ = ["Activity", "Interrupted", "Job", "Outcome", "run_trial"]


@dataclass(frozen=True)
class Job:
    """A trial with what it needs to run here.

    Attributes:
        trial: The trial.
        model: The model's file.
        dataset: The data set, with its arrays on this machine.
        timeout_seconds: Wall time the trial may take.
        memory_limit_bytes: Resident memory its process tree may take.
        measurements: What to measure beside quality, `fit` and `predict`.
        dataset_spec: What names the data set on any machine.
    """

    trial: Trial
    model: ModelFile
    dataset: DatasetInfo
    timeout_seconds: float
    memory_limit_bytes: int
    measurements: tuple[str, ...] = ()
    dataset_spec: str = ""


@dataclass(frozen=True)
class Outcome:
    """A finished trial: its record, and the files that belong to it.

    Attributes:
        record: What is kept in `records.jsonl`.
        predictions: Bytes of the npz of predictions, or None.
        log: The end and the beginning of what its process printed.
    """

    record: Record
    predictions: bytes | None
    log: bytes


def run_trial(
    job: Job,
    cores: tuple[int, ...],
    on_activity: Callable[[Activity], None] | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Run one trial in a process of its own and return its record, whatever happens in there.

    Args:
        job: The trial, and what it needs.
        cores: The cores to which the process is tied.
        on_activity: Called a few times a second with what the trial is doing.
        stop: When set, the trial is killed.

    Raises:
        Interrupted: `stop` was set.
        DataError: The data set's arrays are gone.
        MnistbenchError: No process can be started, or there is no room for temporary files.
    """
    if stop is not None and stop.is_set():
        raise Interrupted
    truth = evaluation_labels(open_arrays(job.dataset.arrays_folder), job.trial.split, job.trial.holdout)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    before = time.perf_counter()
    try:
        files = outbox_files(job, cores)
    except _UnfitModelError as error:
        ended = _Ended(Status.INVALID, failure=Failure("invalid model file", str(error)))
    else:
        with private_folder(files) as outbox:
            ended = _run_processes(job, len(cores), outbox, on_activity, stop)
    return _outcome(job, ended, truth, started_at, time.perf_counter() - before)


@dataclass(frozen=True)
class _Ended:
    status: Status
    measurement: Measurement | None = None
    failure: Failure | None = None
    packed: bytes | None = None
    predictions: Predictions | None = None
    log: bytes = b""


def _outcome(job: Job, ended: _Ended, truth: Any, started_at: str, trial_seconds: float) -> Outcome:
    scored = digest = None
    if ended.predictions is not None:
        predictions = ended.predictions
        digest = predictions_digest(predictions)
        scored = quality(truth, predictions.labels, predictions.probabilities, job.dataset.classes)
    record = Record(
        trial=job.trial,
        status=ended.status,
        started_at=started_at,
        trial_seconds=trial_seconds,
        beside=0,
        environment=machine.environment(),
        measurement=ended.measurement,
        quality=scored,
        predictions_sha256=digest,
        failure=ended.failure,
    )
    return Outcome(record, ended.packed, ended.log)


@dataclass(frozen=True)
class _Exit:
    """How a process ended: by itself, with an exit status, or stopped at a limit."""

    returncode: int
    overrun: tuple[Status, Failure] | None
    peak_tree_bytes: int
    log: bytes


def _run_processes(
    job: Job,
    threads: int,
    outbox: Path,
    on_activity: Callable[[Activity], None] | None,
    stop: threading.Event | None,
) -> _Ended:
    """Run the trial's process and, where it asks for them, those of its further measurements.

    What happens to a further one costs that measurement alone: the trial has its result by then.
    """
    ended = _collect(_run_process("fit", job, threads, outbox, on_activity, stop), outbox)
    for further in _FURTHER:
        if ended.measurement is None or not (outbox / further.wanted).exists():
            continue
        (outbox / "result.json").unlink(missing_ok=True)
        left = _run_process(further.task, job, threads, outbox, on_activity, stop)
        found: dict[str, Any] = {further.field: _read_further(further, outbox)}
        measurement = replace(ended.measurement, **found)
        told = b"" if found[further.field] else f"\nNo {further.title} was measured:\n".encode() + left.log
        ended = replace(ended, measurement=measurement, log=ended.log + told)
    return ended


@dataclass(frozen=True)
class _Further:
    """A measurement that a process of its own takes after the trial's.

    Attributes:
        task: What `mnistbench.trial.child` calls it.
        wanted: The file that the trial's process leaves to ask for it.
        field: Where `Measurement` keeps it.
        kind: Its type.
    """

    task: str
    wanted: str
    field: str
    kind: type[ColdStart | LearningCurve]

    @property
    def title(self) -> str:
        return self.field.replace("_", " ")


_FURTHER = (
    _Further("serve", "model.pickle", "cold_start", ColdStart),
    _Further("learn", "iterative", "learning_curve", LearningCurve),
)


def _run_process(
    task: str,
    job: Job,
    threads: int,
    outbox: Path,
    on_activity: Callable[[Activity], None] | None,
    stop: threading.Event | None,
) -> _Exit:
    mark = outbox.name
    work = outbox / "work"  # a model that writes files, or deletes them, does so there
    kills_before = kernel_kills()
    group = ControlGroup.make(mark, job.memory_limit_bytes)
    try:
        work.mkdir(exist_ok=True)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            # The clock of `perf_counter` is the same for all processes.
            [
                sys.executable,
                "-P",
                "-m",
                "mnistbench.trial.child",
                task,
                str(outbox),
                repr(time.perf_counter()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=work,
            env=child_environment(os.environ, threads) | {MARK: mark},
            start_new_session=True,
        )
    except OSError as error:
        if group is not None:
            group.end()
        raise MnistbenchError(f"no process can be started for a trial: {error.strerror or error}.") from error
    watch = Watch(process, outbox / "progress.json", job.timeout_seconds, job.memory_limit_bytes)
    try:
        if group is not None and not group.take(process.pid):
            group.end()
            group = None
        assert process.stdout is not None  # noqa: S101 - Popen was asked for a pipe
        log = CappedLog(process.stdout)
        tell = None if on_activity is None else partial(_tell, on_activity, log)
        overrun = watch.until_end(tell, stop)
        if overrun is not None and overrun[0] is Status.TIMEOUT:
            overrun = Status.TIMEOUT, _with_log(overrun[1], log)
        if group is not None and group.ran_out_of_memory():
            overrun = watch.over_memory("was killed by the kernel")
    finally:
        kill_tree(process, mark, watch.descendants)
        if group is not None:
            group.end()
    if process.returncode == -getattr(signal, "SIGKILL", 9) and kernel_kills() > kills_before:
        message = "its process was killed by the kernel: the machine, or its container, ran out of memory"
        overrun = overrun or (Status.OUT_OF_MEMORY, Failure("out of memory", message))
    return _Exit(process.returncode, overrun, watch.peak_tree_bytes, log.content())


def _with_log(failure: Failure, log: CappedLog) -> Failure:
    """Add the last lines of the log, in which a pool whose processes fail says so, to the message."""
    lines = " / ".join(" ".join(line.split()) for line in log.last_lines(_TOLD_LINES))
    return replace(failure, message=f"{failure.message}; its log ends: {lines}") if lines else failure


def _tell(on_activity: Callable[[Activity], None], log: CappedLog, activity: Activity) -> None:
    on_activity(replace(activity, last_line=log.last_line()))


def outbox_files(job: Job, cores: tuple[int, ...]) -> dict[str, bytes]:
    """Return what the trial's process finds in its folder, by path: the request, and the model's modules."""
    return {"request.json": _request(job, cores), **_modules(job.model)}


class _UnfitModelError(Exception):
    """A model's file cannot be run, or is no longer the one that was planned."""


def _modules(model: ModelFile) -> dict[str, bytes]:
    """Return the files from which the trial's process, and all that it starts, import the model.

    Each runs the source that was checked here, under the path that it came from: whatever is edited
    meanwhile, or is cached as bytecode, has no part in it, while tracebacks and `__file__` name the user's
    file. The model goes by a name of its own, so that xgboost.py does not hide the library.

    Raises:
        _UnfitModelError: The model has a problem, or has changed since it was planned.
    """
    problem = model.problem
    sources: dict[str, bytes] = {}
    try:
        sources = model.sources()
    except OSError as error:
        problem = problem or cannot_be_read(model.path, error)
    if problem is None and sources_digest(sources) != model.sha256:
        problem = "has changed since the run was planned; start a new run"
    if problem is not None:
        raise _UnfitModelError(f"{model.path.name} {problem}")
    folder = model.path.parent.resolve()
    return {
        f"{MODULES}/{model.module + '.py' if name == model.path.name else name}": (
            f"__file__, __source__ = {str(folder / name)!r}, {source!r}\n"
            "exec(compile(globals().pop('__source__'), __file__, 'exec', dont_inherit=True))\n"
        ).encode()
        for name, source in sources.items()
    }


def _request(job: Job, cores: tuple[int, ...]) -> bytes:
    trial = job.trial
    of_keras = KERAS_PARAMETERS.keys() if "keras" in job.model.supplied else ()
    return Request(
        parent=os.getpid(),
        cores=cores,
        module=job.model.module,
        parameters={name: value for name, value in trial.parameters.items() if name not in of_keras},
        keras={name: trial.parameters[name] for name in of_keras},
        supplied=job.model.supplied,
        seed=trial.derived_seed("fit"),
        threads=trial.threads,
        arrays_folder=str(Path(job.dataset.arrays_folder).resolve()),
        classes=job.dataset.classes,
        split=trial.split,
        holdout=trial.holdout,
        train_size=trial.train_size,
        subset_seed=trial.derived_seed("subset"),
        measurements=job.measurements,
    ).to_json()


def _collect(left: _Exit, outbox: Path) -> _Ended:
    """Read what the process left behind; without a result it crashed, even if it left with status 0."""
    if left.overrun is not None:
        status, failure = left.overrun
        return _Ended(status, failure=failure, log=left.log)
    try:
        result = json.loads((outbox / "result.json").read_bytes())
    except (OSError, ValueError):
        return _Ended(Status.CRASHED, failure=_crash(left.returncode), log=left.log)
    try:
        status = Status(result["status"])
        if status is not Status.OK:
            return _Ended(status, failure=from_json(Failure, result["failure"]), log=left.log)
        measurement = from_json(Measurement, result["measurement"])
        packed = (outbox / "predictions.npz").read_bytes()
        predictions = decode_predictions(packed)
    except (OSError, ValueError, TypeError, KeyError) as error:
        failure = Failure("damaged result", f"its process left a result that cannot be read: {error}")
        return _Ended(Status.CRASHED, failure=failure, log=left.log)
    if left.peak_tree_bytes > measurement.peak_rss_bytes:
        measurement = replace(measurement, peak_rss_bytes=left.peak_tree_bytes, memory_source="sampled")
    return _Ended(status, measurement=measurement, packed=packed, predictions=predictions, log=left.log)


def _read_further(further: _Further, outbox: Path) -> ColdStart | LearningCurve | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        result = json.loads((outbox / "result.json").read_bytes())
        return from_json(further.kind, result["measurement"])
    return None


def _crash(returncode: int) -> Failure:
    if returncode >= 0:
        message = f"its process left with exit status {returncode} before it had finished"
        return Failure(f"exit status {returncode}", message)
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # real-time signals have no names
        name = f"signal {-returncode}"
    message = f"its process was killed by {name}"
    if name == "SIGKILL":
        message += ", which mnistbench did not send"
    return Failure(name, message)
