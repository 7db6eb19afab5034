"""A control group of a trial's own, where Linux grants one: the kernel then keeps the trial to its limits.

Version 2 of the interface, as https://docs.kernel.org/admin-guide/cgroup-v2.html describes it. The group is
made beside this process's own, for which the group above must be this user's to write and must hand the
memory controller down: so it is in a systemd user session, in a service with `Delegate=yes`, and for root.
Elsewhere there is none, and the limits are enforced by watching.
"""

import contextlib
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_TASKS = 4_096  # threads count; the libraries of one trial have some hundreds on the largest machines
_END_SECONDS = 5.0


class ControlGroup:
    """A group of processes, none of which can leave it without further rights."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def make(cls, name: str, memory_limit_bytes: int) -> "ControlGroup | None":
        """Make a group whose processes may take so much memory together; None if it cannot be had here."""
        group = cls.named(name)
        if group is None:
            return None
        try:
            group._path.mkdir()
            group._write("memory.max", memory_limit_bytes)
            group._write("memory.oom.group", 1)  # all of a trial ends, not a helper that it waits for
        except OSError:
            group.end()
            return None
        for optional, value in (("memory.swap.max", 0), ("pids.max", _TASKS)):
            with contextlib.suppress(OSError):
                group._write(optional, value)
        return group

    @classmethod
    def named(cls, name: str) -> "ControlGroup | None":
        """Return the group of that name, made or not; None where this process can make none."""
        with contextlib.suppress(OSError):
            for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines():
                if line.startswith("0::/") and "/.." not in line:
                    own = _ROOT / line.removeprefix("0::/")
                    for parent in (own, own.parent):  # only the root has both processes and groups below
                        if (
                            "memory"
                            in (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
                        ):
                            return cls(parent / name)
        return None

    def take(self, pid: int) -> bool:
        """Move a process, with all that it will start, into the group; return whether that was allowed."""
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
            with contextlib.suppress(OSError):  # busy, while its last processes end
                self._path.rmdir()
                return
            time.sleep(0.02)

    def _write(self, name: str, value: int) -> None:
        (self._path / name).write_text(str(value), encoding="ascii")
