"""What runs on a worker of a Dask cluster: one trial, isolated in a process as on any machine."""

import contextlib
import os
import platform
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mnistbench import machine
from mnistbench.datasets import DatasetInfo, cache_folder, resolve
from mnistbench.datasets.cache import verified_arrays
from mnistbench.datasets.synthetic import extended
from mnistbench.errors import DataError
from mnistbench.execution.isolation import Activity, Interrupted, Job, Outcome, run_trial
from mnistbench.execution.processes import child_environment, private_folder
from mnistbench.machine import Calibration, Environment, calibrate

ACTIVITY_TOPIC = "mnistbench"  # of the events in which workers report what their trials are doing
_ACTIVITY_SECONDS = 0.3  # between two such reports


@dataclass(frozen=True)
class Worker:
    """A worker of the cluster as it describes itself.

    `machine` is the same for all workers that share its cores, in containers or not, and `installation` for
    all that import the same libraries.
    """

    machine: str
    installation: tuple[str, ...]
    cores: tuple[int, ...]
    environment: Environment


def describe() -> Worker:
    """Return the description of the worker on which this is called."""
    return Worker(
        machine=_machine(),
        installation=(_machine(), *sys.path),
        cores=machine.usable_cores(),
        environment=machine.environment(),
    )


def calibrate_here() -> Calibration:
    """Return the speed of the worker on which this is called, on all cores it may use."""
    cores = machine.usable_cores()
    return calibrate(cores, child_environment(os.environ, len(cores)))


def run_here(job: Job, sources: Mapping[str, bytes], cores: tuple[int, ...], offline: bool) -> Outcome | None:
    """Run a trial on the worker on which this is called; report what it does as events of `ACTIVITY_TOPIC`.

    The paths in the job are those of the sending machine; `sources` is its `ModelFile.sources`.

    Returns:
        Its outcome; None if it was stopped because Dask has cancelled the task, or has lost its client.

    Raises:
        DataError: The data set is unavailable here.
        MnistbenchError: No process can be started, or there is no room for temporary files.
    """
    from distributed import get_worker

    # Dask sets it for its workers; it would slow down, or speed up, a model's own allocations.
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    worker = get_worker()
    key = worker.get_current_task()
    stop = threading.Event()
    reported_at = -_ACTIVITY_SECONDS

    def follow(activity: Activity) -> None:
        nonlocal reported_at
        task = worker.state.tasks.get(key)
        if task is None or task.state != "executing" or worker.status.name not in ("running", "paused"):
            stop.set()
        elif time.monotonic() - reported_at >= _ACTIVITY_SECONDS:
            reported_at = time.monotonic()
            worker.log_event(ACTIVITY_TOPIC, {"task": key, "activity": asdict(activity)})

    job = replace(job, dataset=_dataset_here(job, offline))
    with private_folder(sources) as folder, contextlib.suppress(Interrupted):
        job = replace(job, model=replace(job.model, path=folder / job.model.path.name))
        return run_trial(job, cores, follow, stop)
    return None


def _dataset_here(job: Job, offline: bool) -> DatasetInfo:
    """Return the data set with its arrays here: in the sender's folder if it is shared, else cached."""
    sent = job.dataset
    with contextlib.suppress(DataError):
        if verified_arrays(Path(sent.arrays_folder), sent.sha256) is not None:
            return extended(sent, sent.extension)
    found = resolve(job.dataset_spec, cache=cache_folder(), reading=sent.reading, offline=offline)
    if found.sha256 != sent.sha256:
        raise DataError(f"{job.dataset_spec} holds other images here than where the run was started.")
    return extended(replace(sent, arrays_folder=found.arrays_folder), sent.extension)


def _machine() -> str:
    """Return a name that all containers of a machine, which share its cores, have in common."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()
