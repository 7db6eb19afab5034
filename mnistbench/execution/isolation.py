"""Runs one trial in a fresh process, with limits that are enforced from outside.

Whatever the model does (hang, crash, leak, print, fork), an outcome is returned within the time limit and no
process is left behind.
"""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mnistbench import machine
from mnistbench.datasets import DatasetInfo, open_arrays
from mnistbench.datasets.splits import evaluation_labels
from mnistbench.datasets.synthetic import extension_folder
from mnistbench.errors import MnistbenchError
from mnistbench.execution.cgroup import ControlGroup
from mnistbench.execution.monitor import Activity, Interrupted, Monitor
from mnistbench.execution.processes import (
    MARK,
    CappedLog,
    child_environment,
    kernel_kills,
    kill_tree,
    private_folder,
)
from mnistbench.machine import Environment
from mnistbench.plan.models import KERAS_PARAMETERS, ModelFile, cannot_be_read, sources_digest
from mnistbench.runs.json import from_json
from mnistbench.runs.predictions import decode_predictions, predictions_digest
from mnistbench.runs.records import ColdStart, Failure, Measurement, Record, Status, Trial
from mnistbench.stats.scores import quality
from mnistbench.text import duration, megabytes
from mnistbench.trial.request import MODULES, Request

_BUDGET = "time budget"
_QUOTED_LINES = 3  # of the log, in the message of a time limit

__all__ = ["Activity", "Interrupted", "Job", "Outcome", "run_trial"]


@dataclass(frozen=True)
class Job:
    """A trial and everything needed to run it on this machine, where its data set has its arrays."""

    trial: Trial
    model: ModelFile
    dataset: DatasetInfo
    timeout_seconds: float  # limit on the trial's wall time
    memory_limit_bytes: int  # limit on the resident memory of its process tree
    measurements: tuple[str, ...] = ()  # measurements beside quality, `fit` and `predict`
    dataset_spec: str = ""  # the data set on the command line, valid on any machine
    fixed_threads: bool = False
    deadline: float = math.inf  # by when it has to end, in seconds of this machine's `time.monotonic`
    expected_seconds: float = 0.0  # what it is expected to take; 0 where that is unknown
    expected_bytes: float = 0.0  # the same for its peak resident memory

    def expectations(self) -> dict[str, Any]:
        """Return the fields of the request by which a trial that would exceed its limits is refused."""
        seconds, size = self.expected_seconds, self.expected_bytes
        if not self.trial.synthetic:
            return {}
        return {
            "forecast": (
                f"{self.trial.model} on {self.trial.train_size:,} images: about {duration(seconds)} and "
                f"{megabytes(size)} MB; the limits are {duration(self.timeout_seconds)} and "
                f"{megabytes(self.memory_limit_bytes)} MB (--timeout, --memory-limit)"
            ),
            "too_long": seconds > self.timeout_seconds,
            "too_large": size > self.memory_limit_bytes,
        }


@dataclass(frozen=True)
class Outcome:
    """How a trial ended in its process, and its results, which it has only if its status is ok."""

    status: Status
    started_at: str  # UTC, ISO 8601
    trial_seconds: float  # wall time from starting its process to collecting its result
    environment: Environment
    failure: Failure | None = None  # None if and only if the status is ok
    measurement: Measurement | None = None
    predictions: bytes | None = None  # bytes of the npz of predictions
    log: bytes = b""  # the beginning and the end of its process's output

    def record(self, job: Job, *, beside: int, attempts: int = 1) -> Record:
        """Return the record of this outcome, after scoring its predictions; see `Finished`.

        Raises:
            DataError: The data set's arrays are missing.
        """
        scores = digest = None
        if self.predictions is not None:
            predictions = decode_predictions(self.predictions)
            truth = evaluation_labels(
                open_arrays(job.dataset.arrays_folder), job.trial.split, job.trial.holdout
            )
            scores = quality(truth, predictions.labels, predictions.probabilities, job.dataset.classes)
            digest = predictions_digest(predictions)
        return Record(
            trial=job.trial,
            status=self.status,
            started_at=self.started_at,
            trial_seconds=self.trial_seconds,
            beside=beside,
            environment=self.environment,
            measurement=self.measurement,
            quality=scores,
            predictions_sha256=digest,
            failure=self.failure,
            attempts=attempts,
        )


def run_trial(
    job: Job,
    cores: tuple[int, ...],
    on_activity: Callable[[Activity], None] | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Run one trial in a process pinned to the cores; return its outcome, whatever happens there.

    `on_activity` is called a few times a second. When `stop` is set, the trial is killed.

    Raises:
        Interrupted: `stop` was set.
        DataError: The data set's arrays are missing.
        MnistbenchError: No process can be started, or temporary files cannot be written.
    """
    if stop is not None and stop.is_set():
        raise Interrupted
    open_arrays(job.dataset.arrays_folder)
    left_seconds = job.deadline - time.monotonic()
    is_short_of_time = left_seconds < job.timeout_seconds
    if is_short_of_time:
        job = replace(job, timeout_seconds=max(left_seconds, 0.0))
    if not job.fixed_threads:
        cores = machine.free_cores(cores)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    before = time.perf_counter()

    def outcome(status: Status, **found: Any) -> Outcome:
        seconds = time.perf_counter() - before
        return Outcome(status, started_at, seconds, machine.environment(), **found)

    if left_seconds <= job.expected_seconds:
        reason = f"was not started: it would take about {duration(job.expected_seconds)}, and "
        reason += f"{duration(max(left_seconds, 0.0))} of the budget were left"
        return outcome(Status.LEFT_OUT, failure=Failure(_BUDGET, reason))
    try:
        files = outbox_files(job, cores)
    except _UnfitModelError as error:
        return outcome(Status.INVALID, failure=Failure("invalid model file", str(error)))
    with private_folder(files) as outbox:

        def run(task: str) -> _Exit:
            return _run_process(task, job, len(cores), outbox, on_activity, stop)

        ended = _run_processes(run, outbox, outcome)
    if ended.failure is not None and ended.status is Status.TIMEOUT and is_short_of_time:
        ended = replace(ended, failure=replace(ended.failure, kind=_BUDGET))
    return ended


@dataclass(frozen=True)
class _Exit:
    """How a process ended: with an exit status, or stopped at a limit."""

    returncode: int
    overrun: tuple[Status, Failure] | None
    peak_tree_bytes: int
    log: bytes


_FURTHER: Mapping[str, type] = {"cold_start": ColdStart}
"""The measurements that further processes take after the trial's, and their types."""


def _run_processes(run: Callable[[str], _Exit], outbox: Path, outcome: Callable[..., Outcome]) -> Outcome:
    """Run the trial's process, then those of the further measurements that it requests.

    Without a result the trial crashed, even if its process exited with status 0. A further measurement that
    fails costs only itself, as the trial already has its result.
    """
    left = run("fit")
    if left.overrun is not None:
        status, failure = left.overrun
        return outcome(status, failure=failure, log=left.log)
    try:
        result = _result(outbox)
    except (OSError, ValueError):
        return outcome(Status.CRASHED, failure=_crash(left.returncode), log=left.log)
    try:
        status = Status(result["status"])
        if status is not Status.OK:
            return outcome(status, failure=from_json(Failure, result["failure"]), log=left.log)
        measured = dict(result["measurement"])
        from_json(Measurement, measured)
        predictions = (outbox / "predictions.npz").read_bytes()
        decode_predictions(predictions)
        further = [name for name in _FURTHER if name in result["further"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        failure = Failure("damaged result", f"its process wrote an unreadable result: {error}")
        return outcome(Status.CRASHED, failure=failure, log=left.log)
    if left.peak_tree_bytes > measured["peak_rss_bytes"]:
        measured |= {"peak_rss_bytes": left.peak_tree_bytes, "memory_source": "sampled"}
    log = left.log
    for name in further:
        (outbox / "result.json").unlink(missing_ok=True)
        left = run(name)
        try:
            found = _result(outbox)["measurement"]
            from_json(_FURTHER[name], found)
            measured[name] = found
        except (OSError, ValueError, TypeError, KeyError):
            log += f"\nNo {name.replace('_', ' ')} was measured:\n".encode() + left.log
    measurement = from_json(Measurement, measured)
    return outcome(Status.OK, measurement=measurement, predictions=predictions, log=log)


def _result(outbox: Path) -> dict[str, Any]:
    result = json.loads((outbox / "result.json").read_bytes())
    if not isinstance(result, dict):
        raise ValueError("not an object")
    return result


def _run_process(
    task: str,
    job: Job,
    threads: int,
    outbox: Path,
    on_activity: Callable[[Activity], None] | None,
    stop: threading.Event | None,
) -> _Exit:
    mark = outbox.name
    work = outbox / "work"  # where a model's own files appear
    kills_before = kernel_kills()
    group = ControlGroup.make(mark, job.memory_limit_bytes)
    try:
        work.mkdir(exist_ok=True)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            # All processes share the clock of `perf_counter`.
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
    monitor = Monitor(process, outbox / "progress.json", job.timeout_seconds, job.memory_limit_bytes)
    try:
        if group is not None and not group.take(process.pid):
            group.end()
            group = None
        assert process.stdout is not None  # noqa: S101 - Popen made a pipe
        log = CappedLog(process.stdout)
        report = None if on_activity is None else partial(_report_with_log, on_activity, log)
        overrun = monitor.until_end(report, stop)
        if overrun is not None and overrun[0] is Status.TIMEOUT:
            overrun = Status.TIMEOUT, _with_log(overrun[1], log)
        if group is not None and group.ran_out_of_memory():
            overrun = monitor.memory_overrun("was killed by the kernel")
    finally:
        kill_tree(process, mark, monitor.descendants)
        if group is not None:
            group.end()
    if process.returncode == -getattr(signal, "SIGKILL", 9) and kernel_kills() > kills_before:
        message = (
            "its process was killed by the kernel because the machine, or its container, ran out of memory"
        )
        overrun = overrun or (Status.OUT_OF_MEMORY, Failure("out of memory", message))
    return _Exit(process.returncode, overrun, monitor.peak_tree_bytes, log.content())


def _with_log(failure: Failure, log: CappedLog) -> Failure:
    """Return the failure with the last lines of the log, where a failing process pool reports its errors."""
    lines = " / ".join(" ".join(line.split()) for line in log.last_lines(_QUOTED_LINES))
    return replace(failure, message=f"{failure.message}; its log ends: {lines}") if lines else failure


def _report_with_log(on_activity: Callable[[Activity], None], log: CappedLog, activity: Activity) -> None:
    on_activity(replace(activity, last_line="".join(log.last_lines(1))))


def outbox_files(job: Job, cores: tuple[int, ...]) -> dict[str, bytes]:
    """Return the files of the trial's folder by path: the request and the model's modules."""
    return {"request.json": _request(job, cores), **_modules(job.model)}


class _UnfitModelError(Exception):
    """A model's file cannot be run, or has changed since the plan."""


def _modules(model: ModelFile) -> dict[str, bytes]:
    """Return the files from which the trial's process, and all that it starts, import the model.

    Each runs the source checked here under its original path: later edits and cached bytecode have no effect,
    while tracebacks and `__file__` name the user's file. The model has a unique module name, so that
    xgboost.py does not hide the library.

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
    keras_names = KERAS_PARAMETERS.keys() if "keras" in job.model.supplied else ()
    return Request(
        parent=os.getpid(),
        cores=cores,
        module=job.model.module,
        parameters={name: value for name, value in trial.parameters.items() if name not in keras_names},
        keras={name: trial.parameters[name] for name in keras_names},
        supplied=job.model.supplied,
        seed=trial.derived_seed("fit"),
        threads=len(cores),
        arrays_folder=str(Path(job.dataset.arrays_folder).resolve()),
        classes=job.dataset.classes,
        split=trial.split,
        holdout=trial.holdout,
        train_size=trial.train_size,
        subset_seed=trial.derived_seed("subset"),
        measurements=job.measurements,
        synthetic=trial.synthetic,
        synthetic_folder=str(extension_folder(job.dataset).resolve()) if trial.synthetic else "",
        **job.expectations(),
    ).to_json()


def _crash(returncode: int) -> Failure:
    if returncode >= 0:
        message = f"its process exited with status {returncode} before it had finished"
        return Failure(f"exit status {returncode}", message)
    try:
        name = signal.Signals(-returncode).name
    except ValueError:  # real-time signals have no names
        name = f"signal {-returncode}"
    message = f"its process was killed by {name}"
    if name == "SIGKILL":
        message += ", which mnistbench did not send"
    return Failure(name, message)
