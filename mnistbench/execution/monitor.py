"""Monitors a trial's process: its activity, the resources of its process tree, and its limits."""

import contextlib
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from mnistbench.execution.processes import ended_within, proportional_bytes, signal_group, task_count
from mnistbench.runs.records import Failure, Status
from mnistbench.trial.progress import read_progress

_POLL_SECONDS = 0.1
_CPU_SECONDS = 1.0
_TREE_SECONDS = 1.0  # between walks of the process table, which cost a few milliseconds of CPU
_TREE_SHARE = 0.05  # of the time at most, as walks take longer the more processes there are
_MOST_PROCESSES = 512  # some libraries start one for each core; more means endless forking
_FEW_PROCESSES = 32
_IDLE_CORES = 0.05  # busy cores below which a trial counts as waiting
_NAMED_KINDS = 4  # kinds of processes in the message of a time limit
_NAME_LENGTH = 70
_CROWD = 256  # new threads on the machine after which the trial's processes are counted


@dataclass(frozen=True)
class Activity:
    """The current activity of a running trial; the progress is there if the model reports it."""

    phase: str  # "start", "import", "load", "build", "fit", "predict" or "evaluate"
    elapsed_seconds: float  # since the start of its process
    done: int | None = None
    total: int | None = None
    unit: str = ""  # of `done` and `total`, for example "epoch"
    rss_bytes: int = 0  # resident memory of the process tree
    busy_cores: float = 0.0  # cores that its processes kept busy in about the last second
    last_line: str = ""  # the last line of its log


class Interrupted(Exception):  # noqa: N818 - a request to stop is not an error
    """The run was stopped while this trial was running; the trial has no record."""


class Monitor:
    """Monitors a trial's process until it ends, exceeds a limit, or must stop."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        progress: Path,
        timeout_seconds: float,
        memory_limit_bytes: int,
    ) -> None:
        """Monitor a process that writes its progress to the file `progress`."""
        self._process = process
        self._progress = progress
        self._timeout_seconds = timeout_seconds
        self._memory_limit_bytes = memory_limit_bytes
        self._state: Mapping[str, Any] = {}
        self._tree = psutil.Process(process.pid)
        self._rss_bytes = 0
        self._busy_cores = 0.0
        self._living: list[psutil.Process] = []
        self._cpu_read_at = time.monotonic()
        self._cpu_seconds: Mapping[psutil.Process, float] = {}
        self._children_bytes = 0
        self._next_walk = time.monotonic() + _TREE_SECONDS
        self._process_count = 1
        self._task_count = task_count()
        self.peak_tree_bytes = 0
        self.descendants: set[psutil.Process] = set()

    def until_end(
        self, on_activity: Callable[[Activity], None] | None, stop: threading.Event | None
    ) -> tuple[Status, Failure] | None:
        """Wait for the end; return the exceeded limit, None without; raise Interrupted once `stop` is set."""
        start = time.monotonic()
        while True:
            if ended_within(self._process, _POLL_SECONDS):
                return None
            if stop is not None and stop.is_set():
                raise Interrupted
            elapsed_seconds = time.monotonic() - start
            self._state = read_progress(self._progress) or self._state
            with contextlib.suppress(psutil.Error):
                self._read_cpu()
                self._read_memory()
                if self._is_crowded():
                    # The threads may be another program's, so a trial with few processes is not paused.
                    if len(self._children()) > _FEW_PROCESSES:
                        self._count_paused()
                    else:
                        self._task_count = task_count()
            if on_activity is not None:
                on_activity(self._activity(elapsed_seconds))
            if elapsed_seconds > self._timeout_seconds:
                message = f"was stopped after {self._timeout_seconds:g} s, its time limit, {self._where}"
                return Status.TIMEOUT, Failure("time limit", message + self._diagnosis())
            if self._rss_bytes > self._memory_limit_bytes:
                return self.memory_overrun(f"was stopped at {self._rss_bytes / 2**20:,.0f} MiB")
            if self._process_count > _MOST_PROCESSES:
                signal_group(self._process, getattr(signal, "SIGKILL", signal.SIGTERM))
                count = f"was stopped with {self._process_count:,} processes {self._where}"
                return Status.FAILED, Failure("process limit", f"{count}; its limit is {_MOST_PROCESSES}")

    def memory_overrun(self, how: str) -> tuple[Status, Failure]:
        """Return the failure for exceeding the memory limit; `how` says how the process was stopped."""
        limit = f"its memory limit is {self._memory_limit_bytes / 2**20:,.0f} MiB"
        return Status.OUT_OF_MEMORY, Failure("memory limit", f"{how} {self._where}; {limit}")

    def _diagnosis(self) -> str:
        """Return why a trial may have run out of time: whether it was idle, and its processes."""
        found = ""
        if self._busy_cores < _IDLE_CORES:
            found += "; it was idle: its processes were not using the CPU"
        with contextlib.suppress(psutil.Error):
            own = self._tree.cmdline()
            counts = Counter(_described(child, own) for child in self._children())
            if counts:
                kinds = ", ".join(f"{count} x {name}" for name, count in counts.most_common(_NAMED_KINDS))
                found += f"; it had started the processes: {kinds}"
        return found

    @property
    def _where(self) -> str:
        return f"in the phase {self._phase}"

    @property
    def _phase(self) -> str:
        return str(self._state.get("phase", "start"))

    def _activity(self, elapsed_seconds: float) -> Activity:
        return Activity(
            phase=self._phase,
            elapsed_seconds=elapsed_seconds,
            done=self._state.get("done"),
            total=self._state.get("total"),
            unit=self._state.get("unit", ""),
            rss_bytes=self._rss_bytes,
            busy_cores=self._busy_cores,
        )

    def _read_cpu(self) -> None:
        now = time.monotonic()
        passed = now - self._cpu_read_at
        if passed < _CPU_SECONDS:
            return
        spent = {}
        for process in (self._tree, *self._living):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent[process] = times.user + times.system
        before = self._cpu_seconds
        self._busy_cores = (
            sum(seconds - before.get(process, 0.0) for process, seconds in spent.items()) / passed
        )
        self._cpu_read_at, self._cpu_seconds = now, spent

    def _read_memory(self) -> None:
        own = int(self._tree.memory_info().rss)
        before = time.monotonic()
        if before >= self._next_walk and not self._is_crowded():
            children = self._children()
            # Forked processes share pages with their parent, which must not be counted twice.
            self._children_bytes = self._proportional_bytes(children) - own if children else 0
            after = time.monotonic()
            self._next_walk = after + max(_TREE_SECONDS, (after - before) / _TREE_SHARE)
        self._rss_bytes = own + self._children_bytes
        if self._children_bytes and self._phase in ("fit", "predict"):
            self.peak_tree_bytes = max(self.peak_tree_bytes, self._rss_bytes)

    def _children(self) -> list[psutil.Process]:
        children = self._tree.children(recursive=True)
        self._living = children
        self.descendants.update(children)
        self._process_count = 1 + len(children)
        return children

    def _proportional_bytes(self, children: list[psutil.Process]) -> int:
        total = 0
        for process in (self._tree, *children):
            if self._is_crowded():
                break
            total += proportional_bytes(process)
        return total

    def _is_crowded(self) -> bool:
        return task_count() > self._task_count + _CROWD

    def _count_paused(self) -> None:
        """Count the tree's processes while they are paused, as endless forking outruns the count."""
        signal_group(self._process, signal.SIGSTOP)
        try:
            self._children()
            self._task_count = task_count()
        finally:
            if self._process_count <= _MOST_PROCESSES:
                signal_group(self._process, signal.SIGCONT)


def _described(process: psutil.Process, parents_command: list[str]) -> str:
    """Return a process's name and command; equal processes have equal descriptions."""
    try:
        name, command = process.name(), process.cmdline()
    except psutil.Error:
        return "ended"
    if command == parents_command:
        return f"{name}, forked from the trial"
    text = " ".join(" ".join([name, *command[1:]]).split())
    return text if len(text) <= _NAME_LENGTH else f"{text[:_NAME_LENGTH]}..."
