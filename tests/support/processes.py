"""What tests ask of other processes: which there are, and whether something happens in time."""

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 40) -> T:
    """Return what the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it did not happen in {seconds} s"
        time.sleep(0.05)
    return value


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def descendants(pid: int) -> list[psutil.Process]:
    """Return the living processes that a process has started, and theirs."""
    return [process for process in psutil.Process(pid).children(recursive=True) if not has_ended(process)]
