"""Clocks and memory: the only place that times anything.

Wall time is `time.perf_counter`. CPU time is the process's own (`time.process_time`) plus that of its
children, running or ended. Memory is read from the kernel: `VmHWM` in /proc/self/status is the largest
resident memory of this process alone, where `ru_maxrss` starts at the size of the process that forked it.
"""

import contextlib
import gc
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import psutil

T = TypeVar("T")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """A call's result with what the call cost.

    Attributes:
        value: What the call returned.
        wall_seconds: Wall time of the call.
        cpu_seconds: CPU time of the call, children included.
    """

    value: T
    wall_seconds: float
    cpu_seconds: float


def timed(call: Callable[[], T]) -> Timed[T]:
    """Run a call once between two readings of the clocks, after a collection of garbage."""
    gc.collect()
    # Asking for the children walks the process table, which itself costs CPU time: it stays outside.
    children_before = _children_cpu_seconds()
    own_before = time.process_time()
    before = time.perf_counter()
    value = call()
    after = time.perf_counter()
    own = time.process_time() - own_before
    return Timed(value, after - before, own + _children_cpu_seconds() - children_before)


def rss_bytes() -> int:
    """Return the resident memory of this process now."""
    return int(psutil.Process().memory_info().rss)


def peak_rss_bytes() -> tuple[int, str]:
    """Return the largest resident memory of this process so far, and how it was read.

    Returns:
        Bytes and "VmHWM" on Linux. Elsewhere bytes and "ru_maxrss" or "peak working set", whichever the
        system keeps.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024, "VmHWM"
    peak_working_set = getattr(psutil.Process().memory_info(), "peak_wset", None)  # Windows
    if peak_working_set is not None:
        return int(peak_working_set), "peak working set"
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024, "ru_maxrss"


def saved_bytes(estimator: object) -> int | None:
    """Return the size of the estimator when pickled, as a file of it would have; None if it cannot be."""
    counter = _ByteCounter()
    try:
        pickle.Pickler(counter, protocol=5).dump(estimator)
    except Exception:  # a model's own __getstate__ may raise anything; then the size is unknown
        return None
    return counter.size


class _ByteCounter:
    """A file that only counts, so that a large model is not held in memory twice."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes | pickle.PickleBuffer) -> int:
        size = memoryview(data).nbytes
        self.size += size
        return size


def _children_cpu_seconds() -> float:
    """Return the CPU time of all descendants: those that ended and were waited for, and those that run."""
    process = psutil.Process()
    times = process.cpu_times()
    seconds = times.children_user + times.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            spent = child.cpu_times()
            seconds += spent.user + spent.system + spent.children_user + spent.children_system
    return float(seconds)
