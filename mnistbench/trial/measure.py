"""Clocks and memory: the only place that times anything.

Wall time is `time.perf_counter`. CPU time is the process's own (`time.process_time`) plus that of its
children, running or ended. Memory is read from the kernel: `VmHWM` in /proc/self/status is the largest
resident memory of this process alone, where `ru_maxrss` starts at the size of the process that forked it.
"""

import contextlib
import pickle
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import psutil

from mnistbench.runs.records import Batches, LearningCurve, MachineLoad

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[Any]]


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
    """Run a call once between two readings of the clocks."""
    # Asking for the children walks the process table, which itself costs CPU time: it stays outside.
    children_before = _children_cpu_seconds()
    own_before = time.process_time()
    before = time.perf_counter()
    value = call()
    after = time.perf_counter()
    own = time.process_time() - own_before
    return Timed(value, after - before, own + _children_cpu_seconds() - children_before)


class LoadMeter:
    """Watches the whole machine from its making to `read`."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._before = psutil.cpu_times()
        self._throttled = _throttled_count()

    def read(self, own_seconds: float) -> MachineLoad:
        """Return what the machine did since this meter was made, of which the caller did `own_seconds`."""
        now = psutil.cpu_times()

        def spent(*kinds: str) -> float:
            return sum(getattr(now, kind, 0.0) - getattr(self._before, kind, 0.0) for kind in kinds)

        return MachineLoad(
            wall_seconds=time.perf_counter() - self._began,
            busy_seconds=spent("user", "nice", "system", "irq", "softirq"),
            own_seconds=own_seconds,
            steal_seconds=spent("steal"),
            throttled_count=_throttled_count() - self._throttled,
            logical_cores=psutil.cpu_count() or 1,
        )


def latencies(
    predict: Callable[[Array], object], images: Array, budget_seconds: float, most: int = 1_000
) -> tuple[float, ...]:
    """Time predictions of one image each, until the budget is spent or there are enough; at least one.

    Args:
        predict: The estimator's `predict`.
        images: float32, shape (n, h * w); used in turn, as copies that `predict` may change.
        budget_seconds: Wall time after which no further call is begun.
        most: Calls at the most.

    Returns:
        Wall seconds of each call.
    """
    seconds: list[float] = []
    deadline = time.perf_counter() + budget_seconds
    for number in range(most):
        image = images[number % len(images)][None].copy()
        before = time.perf_counter()
        predict(image)
        after = time.perf_counter()
        seconds.append(after - before)
        if after > deadline:
            break
    return tuple(seconds)


def throughput(
    predict: Callable[[Array], object], images: Array, sizes: Iterable[int], budget_seconds: float
) -> tuple[Batches, ...]:
    """Time batches of growing size, each size until its budget is spent, at least one batch.

    A first batch of each size is a warm-up: libraries that compile for a shape do so there. Sizes above
    the number of images are left out, and so are those that would overrun the budget ten times over,
    as the last size's throughput foretells. Each call gets the images as they are, whatever an earlier one
    made of its own; the time to copy them does not count.

    Returns:
        One entry a size measured.
    """
    measured: list[Batches] = []
    for size in sizes:
        slow = measured and size / measured[-1].images_per_second > 10 * budget_seconds
        if size > len(images) or slow:
            continue
        batch = images[:size].copy()
        predict(batch)
        calls, seconds = 0, 0.0
        while calls == 0 or seconds < budget_seconds:
            np.copyto(batch, images[:size])
            before = time.perf_counter()
            predict(batch)
            seconds += time.perf_counter() - before
            calls += 1
        measured.append(Batches(size, calls, seconds))
    return tuple(measured)


class CurveRecorder:
    """Takes the points of a learning curve while a model trains; its clock stands still meanwhile."""

    def __init__(self, count_correct: Callable[[], int], holdout_images: int) -> None:
        """Start the clock.

        Args:
            count_correct: Predicts the hold-out with the model as it is, and counts what is right.
            holdout_images: Images in the hold-out.
        """
        self._count_correct = count_correct
        self._holdout_images = holdout_images
        self._points: list[tuple[int, float, int]] = []
        self._unit = ""
        self._next = 1
        self._began = time.perf_counter()

    def note(self, done: int, total: int, unit: str) -> None:
        """Take a point, if the training has gone a fifth further since the last one or has ended."""
        now = time.perf_counter()
        if done >= self._next or done == total:
            self._unit = unit
            self._points.append((int(done), now - self._began, self._count_correct()))
            self._next = done + max(1, done // 5)
            self._began += time.perf_counter() - now

    def curve(self) -> LearningCurve | None:
        """Return the points taken; None where the model told nothing."""
        if not self._points:
            return None
        done, seconds, correct = zip(*self._points, strict=True)
        return LearningCurve(self._unit, self._holdout_images, done, seconds, correct)


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


def _throttled_count() -> int:
    """Count thermal throttling of all cores, and throttling of the container by its CPU quota (Linux)."""
    total = 0
    for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        with contextlib.suppress(OSError, ValueError):
            total += int(path.read_text(encoding="ascii"))
    for path in (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat")):
        with contextlib.suppress(OSError, ValueError):
            values = dict(line.split() for line in path.read_text(encoding="ascii").splitlines())
            total += int(values.get("nr_throttled", 0))
    return total


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
