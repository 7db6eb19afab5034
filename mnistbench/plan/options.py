"""Parses the values of options: lists, sizes, assignments.

A text of another form, an unknown name and a number out of range are a UsageError.
"""

import ast
import re
import warnings
from collections.abc import Iterable
from typing import Any

from mnistbench.errors import UsageError, unknown

MEASUREMENTS = {
    "inference": "latency of single predictions, and throughput at several batch sizes",
    "cold_start": "a fresh process that loads the saved model and predicts one image",
    "learning_curve": "accuracy against seconds of training, of models that predict with earlier stages",
    "robustness": "predictions for corrupted, shifted, rotated and noisy copies of the images",
    "calibration": "the machine's speed at fixed kernels, before and after the run",
}


_LONGEST_LIST = 10_000  # "0-999999999" is a typing error, and would not fit into memory


def parse_assignments(assignments: Iterable[str]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Parse `MODEL.PARAM=VALUE[,VALUE...]`: values are Python literals, or else text.

    A parameter set more than once has all its values.
    """
    read: dict[str, dict[str, tuple[Any, ...]]] = {}
    for assignment in assignments:
        target, equals, text = assignment.partition("=")
        model, dot, parameter = target.strip().partition(".")
        values = _values(text)
        if not (equals and dot and model and parameter and values):
            raise UsageError(
                f"--set {assignment!r} is not understood; expected MODEL.PARAM=VALUE, "
                "e.g. svm.C=10, or several values for several variants, e.g. svm.C=1,10."
            )
        parameters = read.setdefault(model, {})
        parameters[parameter] = (*parameters.get(parameter, ()), *values)
    return read


def parse_integers(text: str, option: str, minimum: int = 0) -> tuple[int, ...]:
    """Parse a list of integers such as "0,1,2" or "0-4"; repeated ones count once."""
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,18})(?:\s*-\s*(\d{1,18}))?", part.strip(), re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not minimum <= first <= last:
            raise UsageError(
                f"{option} {text!r} is not understood; expected whole numbers from {minimum}, "
                "e.g. 1,2,3 or 1-3."
            )
        if last - first >= _LONGEST_LIST:
            raise UsageError(
                f"{option} {text!r} has {last - first + 1:,} values; the maximum is {_LONGEST_LIST:,}."
            )
        numbers.update(dict.fromkeys(range(first, last + 1)))
    return tuple(numbers)


def parse_sizes(text: str) -> tuple[int | None, ...]:
    """Parse training sizes such as "1000,5000,0", where 0 means all and becomes None."""
    return tuple(size or None for size in parse_integers(text, "--train-size"))


def choose_threads(text: str | None, jobs: int, cores: int, place: str = "this process") -> tuple[int, ...]:
    """Parse the thread counts; without any, each trial gets its share of the cores, which `place` may use."""
    if jobs > cores:
        raise UsageError(f"--jobs {jobs} needs a core for each trial, but this process may use only {cores}.")
    share = cores // jobs
    threads = parse_integers(text, "--threads", minimum=1) if text is not None else (share,)
    if max(threads) > share:
        raise UsageError(
            f"--threads {max(threads)} is more than the {share} cores that "
            f"{place if jobs == 1 else 'each job'} may use."
        )
    return threads


def parse_names(text: str, option: str) -> tuple[str, ...]:
    """Parse a list of names such as "cnn,svm"; repeated ones count once."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(f"{option} {text!r} is empty; expected names separated by commas, e.g. cnn,svm.")
    return names


def parse_measurements(text: str) -> tuple[str, ...]:
    """Parse the measurements, such as "inference,calibration"; "none" means no measurements."""
    names = () if text.strip() == "none" else parse_names(text, "--measure")
    for name in names:
        if name not in MEASUREMENTS:
            raise UsageError(unknown("measurement", name, (*MEASUREMENTS, "none")))
    return names


def parse_bytes(text: str) -> int:
    """Parse a size such as "4G", "500M" or "2000000"; the units are powers of 1,024."""
    pattern = r"(\d{1,18}(?:\.\d{1,18})?)\s*([KMGT]?)(?:i?B)?"
    match = re.fullmatch(pattern, text.strip(), re.IGNORECASE | re.ASCII)
    size = float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ") if match else 0.0
    if size < 1:
        raise UsageError(f"the size {text!r} is not understood; expected e.g. 4G, 500M or 2000000.")
    return int(size)


def parse_duration(text: str) -> float:
    """Parse a time such as "90s", "10m" or "1h30m", in seconds without a unit; the result is in seconds."""
    match = re.fullmatch(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?", text.strip(), re.ASCII)
    seconds = (
        sum(int(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True))
        if match
        else 0
    )
    if seconds < 1:
        raise UsageError(f"--budget {text!r} is not understood; expected a time, e.g. 90s, 10m or 1h30m.")
    return float(seconds)


def parse_margin(text: str) -> float:
    """Parse a margin in percentage points, such as "0.2"; the result is a share, 0.002."""
    try:
        margin = float(text)
    except ValueError:
        margin = -1.0
    if not 0 <= margin <= 100:  # of NaN too
        raise UsageError(f"the margin {text!r} is not understood; expected percentage points, e.g. 0.2 or 1.")
    return margin / 100


def _values(text: str) -> tuple[Any, ...]:
    """Parse values between commas; a comma within brackets or quotes belongs to its value."""
    try:
        return _literals(text)
    except ValueError:
        return tuple(_value(part.strip()) for part in text.split(",") if part.strip())


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        (value,) = _literals(text)
    except ValueError:
        return text
    return value


def _literals(text: str) -> tuple[Any, ...]:
    """Parse the items of a Python list without its brackets; ValueError if they are not literals."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd escapes: reports show the parsed value
            values = ast.literal_eval(f"[{text}]")
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("not literals") from error
    if not isinstance(values, list):  # such as "1], [2"
        raise ValueError("not literals")
    return tuple(values)
