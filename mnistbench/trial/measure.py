"""Clocks and memory: the only module that times anything.

Wall time is `time.perf_counter`. CPU time is the process's own (`time.process_time`) plus that of its
children, running or ended. Memory is read from the kernel: `VmHWM` in /proc/self/status is the largest
resident memory of this process alone, where `ru_maxrss` starts at the size of the process that forked it.
"""

import contextlib
import inspect
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from mnistbench.runs.records import Batches, LearningCurve, MachineLoad
from mnistbench.trial.contract import ContractError

T = TypeVar("T")
Rows: TypeAlias = NDArray[np.float32]  # one image per row, shape (n, height * width)


@dataclass(frozen=True)
class Timed(Generic[T]):
    """The result of a call and its cost.

    Attributes:
        value: The result.
        wall_seconds: Wall time of the call.
        cpu_seconds: CPU time of the call, children included.
        began: `time.perf_counter` just before it.
    """

    value: T
    wall_seconds: float
    cpu_seconds: float
    began: float


def timed(call: Callable[[], T]) -> Timed[T]:
    """Run a call once between two readings of the clocks."""
    # Outside the timed region, because listing the children costs CPU time.
    children_before = _children_cpu_seconds()
    own_before = time.process_time()
    before = time.perf_counter()
    value = call()
    after = time.perf_counter()
    own = time.process_time() - own_before
    return Timed(value, after - before, own + _children_cpu_seconds() - children_before, before)


class LoadMeter:
    """Measures the load of the whole machine from its creation to `read`."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._before = psutil.cpu_times()
        self._throttled = _throttled_count()

    def read(self, own_seconds: float) -> MachineLoad:
        """Return the machine's load so far, of which `own_seconds` of CPU time are the caller's."""
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
    predict: Callable[[Rows], object], images: Rows, budget_seconds: float, most: int = 1_000
) -> tuple[float, ...]:
    """Return the wall seconds of predictions of one image each; at least one, and at most `most`.

    None starts once the budget is spent. The images are used in turn, as copies that `predict` may change.
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
    predict: Callable[[Rows], object],
    images: Rows,
    sizes: Iterable[int],
    budget_seconds: float,
    alone: Sequence[float],
) -> tuple[Batches, ...]:
    """Time batches of growing size, each size until its budget is spent, at least one batch.

    Batches of one image come first: they have been timed, and their wall seconds are `alone`. The first batch
    of any other size is a warm-up, in which libraries may compile for the shape. Sizes above the number of
    images are left out, and so are those that would take over ten times the budget at the last size's
    throughput. Each call gets unchanged images; copying them is not timed.
    """
    measured = [Batches(1, len(alone), sum(alone))]
    for size in sizes:
        last = measured[-1]
        seconds_an_image = last.wall_seconds / (last.calls * last.batch_size)
        if size > len(images) or size * seconds_an_image > 10 * budget_seconds:
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


class Stages:
    """Notes when a model in training reports its progress, for its learning curve."""

    def __init__(self, report: Callable[[int, int, str], None]) -> None:
        """Pass each report on to `report`."""
        self._report = report
        self._unit = ""
        self.reports: list[tuple[int, float]] = []

    def note(self, done: int, total: int, unit: str) -> None:
        """Note the time of a report."""
        self.reports.append((int(done), time.perf_counter()))
        self._unit = unit
        self._report(done, total, unit)

    def points(self) -> list[int]:
        """Return the numbers, from 0, of the stages on the curve: the last, and each a fifth further on."""
        chosen, following = [], 1
        for number, (done, _) in enumerate(self.reports):
            if done >= following or done == self.reports[-1][0]:
                chosen.append(number)
                following = done + max(1, done // 5)
        return chosen

    def predictions(self, staged_predict: Callable[..., Iterable[Any]], rows: Any) -> Iterator[Any]:
        """Yield the labels of the rows predicted by each stage on the curve.

        The method `staged_predict` of the model predicts with these alone if it takes `stages`.

        Raises:
            ContractError: The model has more stages, or fewer, than it reported.
        """
        points = self.points()
        if "stages" in inspect.signature(staged_predict).parameters:
            yield from staged_predict(rows, stages=points)
            return
        count = 0
        for count, labels in enumerate(staged_predict(rows), start=1):
            if count - 1 in points:
                yield labels
        if count != len(self.reports):
            raise ContractError(
                f"staged_predict gave {count} predictions; expected one for each of the "
                f"{len(self.reports)} calls of on_progress"
            )

    def curve(self, began: float, images: int, correct: Sequence[int]) -> LearningCurve:
        """Return the curve.

        Args:
            began: `time.perf_counter` at the start of the training.
            images: Number of images that each stage classified.
            correct: How many of them each stage on the curve classified correctly.
        """
        on_curve = [self.reports[number] for number in self.points()]
        points = [(done, at - began, right) for (done, at), right in zip(on_curve, correct, strict=True)]
        numbers, seconds, counts = zip(*points, strict=True)
        return LearningCurve(self._unit, images, numbers, seconds, counts, second_training=False)


def rss_bytes() -> int:
    """Return the current resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def peak_rss_bytes() -> tuple[int, str]:
    """Return the peak resident memory of this process so far, in bytes, and its source.

    The source is "VmHWM" on Linux; elsewhere "ru_maxrss" or "peak working set".
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
    """Return the size of the pickled estimator; None if it cannot be pickled."""
    counter = _ByteCounter()
    try:
        pickle.Pickler(counter, protocol=5).dump(estimator)
    except Exception:  # a model's own __getstate__ may raise anything; then the size is unknown
        return None
    return counter.size


class _ByteCounter:
    """A file that only counts bytes, so that a large model is not in memory twice."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes | pickle.PickleBuffer) -> int:
        size = memoryview(data).nbytes
        self.size += size
        return size


def _throttled_count() -> int:
    """Return how often cores were throttled for heat, and the container for its CPU quota (Linux)."""
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
    """Return the CPU time of all descendants, running or ended and waited for."""
    process = psutil.Process()
    times = process.cpu_times()
    seconds = times.children_user + times.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            spent = child.cpu_times()
            seconds += spent.user + spent.system + spent.children_user + spent.children_system
    return float(seconds)
