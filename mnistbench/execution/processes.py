"""The processes of a trial: their environment, folder, log and memory, and how to end them.

A trial's processes inherit a mark in their environment, by which they are found after leaving their group.
"""

import contextlib
import functools
import glob
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import psutil

from mnistbench.errors import MnistbenchError
from mnistbench.execution.cgroup import ControlGroup

MARK = "MNISTBENCH_TRIAL"
_TERM_GRACE_SECONDS = 3.0
_KILL_ROUNDS = 50  # of 0.02 s and a walk of the process table: a second or two
_CLOCK_SLACK_SECONDS = 24 * 3600.0  # clocks get set, and a living process must not pass for a dead one
_LOG_HALF_BYTES = 128 * 1024
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def child_environment(inherited: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the environment of a trial's process, from which most libraries read their thread count once."""
    return {
        **inherited,
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8:backslashreplace",  # so that a model can print anything
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def private_folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Yield a temporary folder with the files, given by relative path.

    If this process is killed, the next one removes it. Its name contains this process's id, and is the mark
    of the trial's processes.

    Raises:
        MnistbenchError: It cannot be written.
    """
    prefix = f"mnistbench-{platform.node()}-"
    with contextlib.ExitStack() as stack:
        try:
            _sweep(prefix)
            folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        except OSError as error:
            raise MnistbenchError(
                f"temporary files cannot be written to {tempfile.gettempdir()}: {error.strerror or error}. "
                "Free space, or set TMPDIR to a folder on another disk."
            ) from error
        yield folder


@functools.cache  # once per process is enough
def _sweep(prefix: str) -> None:
    """End the processes and remove the folders of killed mnistbench processes on this machine."""
    for folder in Path(tempfile.gettempdir()).glob(f"{glob.escape(prefix)}*-*"):
        with contextlib.suppress(ValueError, OSError):
            owner = int(folder.name.removeprefix(prefix).partition("-")[0])
            if not _is_alive(owner, since=folder.stat().st_ctime):
                if (group := ControlGroup.named(folder.name)) is not None:
                    group.end()
                kill_marked(folder.name, ())
                shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int, since: float) -> bool:
    """Return whether the process exists, and is not a later one with the same id."""
    try:
        return psutil.Process(pid).create_time() <= since + _CLOCK_SLACK_SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


_LAST_LINES_BYTES = 500


class CappedLog:
    """Drains the output of a process and keeps the beginning and the end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def content(self) -> bytes:
        """Return the beginning and the end, with a line between them on how much is left out.

        It waits for the rest, but not for an escaped process that keeps the pipe open.
        """
        self._thread.join(timeout=2)
        gap = f"\n... {self._dropped:,} bytes left out ...\n".encode() if self._dropped else b""
        return bytes(self._head) + gap + bytes(self._tail)

    def last_lines(self, count: int) -> list[str]:
        """Return the last `count` non-empty lines so far, within the log's last 500 bytes."""
        end = bytes((self._tail or self._head)[-_LAST_LINES_BYTES:]).decode(errors="replace")
        return [line for line in end.splitlines() if line.strip()][-count:]

    def _drain(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), 65536):
                room = _LOG_HALF_BYTES - len(self._head)
                self._head += chunk[:room]
                self._tail += chunk[max(room, 0) :]
                excess = len(self._tail) - _LOG_HALF_BYTES
                if excess > 0:
                    del self._tail[:excess]
                    self._dropped += excess


def kernel_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since boot (Linux, else 0)."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def task_count() -> int:
    """Return the number of threads on the machine (Linux, else 0); cheaper than a walk of processes."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    return 0


def kill_tree(process: subprocess.Popen[bytes], mark: str, descendants: set[psutil.Process]) -> None:
    """End the process, its group, and processes that escaped from the group: TERM first, then KILL."""
    if process.poll() is None:
        signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_TERM_GRACE_SECONDS)
    signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    kill_marked(mark, descendants)
    process.wait()


def kill_marked(mark: str, descendants: Iterable[psutil.Process]) -> None:
    """Kill the processes with the trial's mark and its known descendants, repeatedly while they fork."""
    known, done_with = set(descendants), set[int]()
    for _ in range(_KILL_ROUNDS):
        strays = [stray for stray in known if _is_running(stray)]
        for stray in strays:
            with contextlib.suppress(psutil.Error):
                stray.kill()
        if not _kill_newest_first(mark, done_with) and not strays:
            return
        time.sleep(0.02)


def _kill_newest_first(mark: str, done_with: set[int]) -> bool:
    """Kill each process that inherited the mark as soon as it is found; return whether there may be more.

    A process that keeps continuing in a new child ends before it is inspected, and its child starts after the
    ids are listed. The ids in `done_with` are skipped; those inspected now are added.
    """
    may_be_more = False
    for pid in reversed(psutil.pids()):
        if pid in done_with:
            continue
        try:
            process = psutil.Process(pid)
            if process.environ().get(MARK) == mark:
                process.kill()
                may_be_more = True
                continue
        except psutil.NoSuchProcess:  # also raised for a zombie
            may_be_more = True
        except (psutil.Error, OSError):
            pass
        done_with.add(pid)
    return may_be_more


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Return whether the process ends within this time: at once, where Linux tells (pidfd_open(2)).

    Elsewhere `Popen.wait` looks every 0.05 s.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # an older kernel, or a sandbox that forbids the call
            descriptor = os.pidfd_open(process.pid)
            try:
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll(1_000 * seconds)
            finally:
                os.close(descriptor)
            return process.poll() is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
        return True
    return False


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the process and its process group, if any are left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.kill()


def proportional_bytes(process: psutil.Process) -> int:
    """Return resident memory with shared pages divided among the processes that share them (Linux)."""
    try:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    except psutil.Error:
        return 0
