"""A control group for each trial, where Linux grants one, so that the kernel enforces the trial's limits.

This uses version 2 of the interface, https://docs.kernel.org/admin-guide/cgroup-v2.html. The group is created
beside this process's own, in a parent group that this user can write and that delegates the memory
controller: in a systemd user session, in a service with `Delegate=yes`, or as root. Elsewhere the monitor
enforces the limits.
"""

import contextlib
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_TASKS = 4_096  # threads; the libraries of one trial start hundreds on the largest machines
_END_SECONDS = 5.0


class ControlGroup:
    """A group of processes, which they cannot leave without further rights."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def make(cls, name: str, memory_limit_bytes: int) -> "ControlGroup | None":
        """Create a group with one memory limit for all its processes; None if that is impossible here."""
        group = cls.named(name)
        if group is None:
            return None
        try:
            group._path.mkdir()
            group._write("memory.max", memory_limit_bytes)
            group._write("memory.oom.group", 1)  # kills the whole trial, not one process it waits for
        except OSError:
            group.end()
            return None
        for optional, value in (("memory.swap.max", 0), ("pids.max", _TASKS)):
            with contextlib.suppress(OSError):
                group._write(optional, value)
        return group

    @classmethod
    def named(cls, name: str) -> "ControlGroup | None":
        """Return the group of that name, existing or not; None if this process cannot create groups."""
        with contextlib.suppress(OSError):
            for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines():
                if line.startswith("0::/") and "/.." not in line:
                    own = _ROOT / line.removeprefix("0::/")
                    for parent in (own, own.parent):  # only the root has both processes and child groups
                        if (
                            "memory"
                            in (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
                        ):
                            return cls(parent / name)
        return None

    def take(self, pid: int) -> bool:
        """Move a process, and all that it will start, into the group; return whether that was allowed."""
        try:
            self._write("cgroup.procs", pid)
        except OSError:
            return False
        return True

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel has killed the group's processes at its memory limit."""
        with contextlib.suppress(OSError, ValueError):
            events = (self._path / "memory.events").read_text(encoding="ascii").split()
            return int(events[events.index("oom_kill") + 1]) > 0
        return False

    def end(self) -> None:
        """Kill every process of the group, however fast it forks, and remove the group."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", 1)  # since Linux 5.14
        deadline = time.monotonic() + _END_SECONDS
        while self._path.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # busy until its last processes have ended
                self._path.rmdir()
                return
            time.sleep(0.02)

    def _write(self, name: str, value: int) -> None:
        (self._path / name).write_text(str(value), encoding="ascii")
