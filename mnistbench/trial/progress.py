"""The progress of a trial, which its process reports to the parent through a small file.

Standard library only, because `child` loads this before its process is pinned to its cores.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_INTERVAL_SECONDS = 0.1


class Progress:
    """Writes the progress, in the trial's process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._phase = ""
        self._written = 0.0

    def phase(self, name: str) -> None:
        """Begin a phase: "import", "load", "build", "fit", "predict" or "evaluate"."""
        self._phase = name
        self._write({"phase": name})

    def step(self, done: int, total: int, unit: str) -> None:
        """Report the progress of a fit; calls closer together than a tenth of a second are dropped."""
        now = time.monotonic()
        if now - self._written >= _INTERVAL_SECONDS or done == total:
            self._write({"phase": self._phase, "done": int(done), "total": int(total), "unit": str(unit)})

    def _write(self, state: Mapping[str, Any]) -> None:
        self._written = time.monotonic()
        with contextlib.suppress(OSError):  # a full disk must not stop a fit
            write_json(self._path, state)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values), encoding="utf-8")
    partial.replace(path)


def read_progress(path: Path) -> Mapping[str, Any]:
    """Return the last report: "phase" and, in a fit that reports them, "done", "total" and "unit".

    It is empty if there is none that can be read.
    """
    with contextlib.suppress(OSError, ValueError):
        state = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(state, dict):
            return state
    return {}
