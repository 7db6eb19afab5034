"""What a trial's process is doing, told to its parent through a small file.

Standard library only: `worker` loads this before its process is tied to its cores.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_INTERVAL_SECONDS = 0.1


class Progress:
    """The side of the trial's process, which writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._phase = ""
        self._written = 0.0

    def phase(self, name: str) -> None:
        """Begin a phase: "import", "load", "build", "fit", "predict", "evaluate" or "learn"."""
        self._phase = name
        self._write({"phase": name})

    def step(self, done: int, total: int, unit: str) -> None:
        """Say how far a fit has come; calls closer together than a tenth of a second are dropped."""
        now = time.monotonic()
        if now - self._written >= _INTERVAL_SECONDS or done == total:
            self._write({"phase": self._phase, "done": int(done), "total": int(total), "unit": str(unit)})

    def _write(self, state: Mapping[str, Any]) -> None:
        self._written = time.monotonic()
        with contextlib.suppress(OSError):  # a full disk is no reason to stop a fit
            write_json(self._path, state)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file of JSON that a reader sees whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values), encoding="utf-8")
    partial.replace(path)


def read_progress(path: Path) -> Mapping[str, Any]:
    """Return what was written last: "phase" and, in a fit that tells it, "done", "total" and "unit".

    It is empty where nothing of the kind can be read.
    """
    with contextlib.suppress(OSError, ValueError):
        state = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(state, dict):
            return state
    return {}
