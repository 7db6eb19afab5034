"""Describes why a trial failed, and what its libraries warned about, in one line each."""

import contextlib
import os
import re
import traceback
import warnings
from pathlib import Path
from typing import Any

from mnistbench.trial.contract import ContractError, encodable, one_line

_KEPT_WARNINGS = 20
_KERAS_BACKEND = os.environ.get("KERAS_BACKEND")  # the user's; a model may set its own


class Refused(Exception):  # noqa: N818 - its name is read in reports
    """A trial on synthetic images is foretold to exceed its limits."""


def collect_warnings() -> dict[str, None]:
    """Return a dictionary whose keys become the first distinct warnings from now on, in order."""
    kept: dict[str, None] = {}
    original = warnings.showwarning

    def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if len(kept) < _KEPT_WARNINGS:
            kept[f"{category.__name__}: {one_line(message)[:200]}"] = None
        with contextlib.suppress(ValueError):  # the model closed stderr
            original(message, category, *where, **more)

    warnings.showwarning = note
    return kept


def status_of(error: BaseException) -> str:
    """Return the status of a trial that ended with this exception."""
    if isinstance(error, ContractError):
        return "invalid"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, ImportError):
        return "unavailable"
    if isinstance(error, Refused):
        return "refused"
    return "failed"


def failure_of(error: BaseException) -> dict[str, str]:
    """Return the fields of the `Failure` that describes this exception."""
    text = "".join(traceback.format_exception(error))
    message = (one_line(error)[:1000] or "no message") + _way_out(error)
    return {"kind": type(error).__name__, "message": message, "traceback": encodable(text)[-8000:]}


def _way_out(error: BaseException) -> str:
    """Return advice on a library, or a file beside the model, that was not found; else ""."""
    missing = str(getattr(error, "name", None) or "").partition(".")[0]
    if _KERAS_BACKEND and (missing == _KERAS_BACKEND or "Unable to import backend" in one_line(error)):
        return (
            f"; the environment variable KERAS_BACKEND is {_KERAS_BACKEND}: install it or unset the variable"
        )
    if isinstance(error, ModuleNotFoundError) and missing:
        for frame in traceback.extract_tb(error.__traceback__):
            beside = Path(frame.filename).with_name(f"{missing}.py")
            if beside.is_file() and not re.search(rb"^(def\s+build\b|build\s*=)", beside.read_bytes(), re.M):
                return (
                    f"; rename the file beside it to _{missing}.py: "
                    'files that models import need a name that starts with "_"'
                )
    return ""
