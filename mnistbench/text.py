"""Formats numbers and commands for reports and messages: three significant digits, no invented precision."""

import math
import shlex
import unicodedata
from pathlib import Path

PAGES = ("md", "html", "csv")
EXTRA_FORMATS = ("json", "latex", "parquet")
FORMATS = (*PAGES, *EXTRA_FORMATS)
"""The formats of a report; the pages are always written."""

MISSING = "—"
"""Stands for a missing value."""
RESULTS = Path("results")
"""The folder of the runs unless `--results` names another, relative to the working directory."""


def command(*words: str, results: Path = RESULTS, cache: Path | None = None) -> str:
    """Return a command of this program, quoted for a shell.

    `results` is named only if it is not the default, `cache` only if it is not None.
    """
    typed = ["mnistbench", *words]
    if results != RESULTS:
        typed += ["--results", str(results)]
    if cache is not None:
        typed += ["--cache-dir", str(cache)]
    return shlex.join(typed)


def visible(text: str) -> str:
    r"""Return the text with control and formatting characters as inert escapes: ESC becomes \x1b.

    Covers Unicode's "other" and line-separator categories: terminal codes, bidirectional overrides,
    zero-width characters, lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(_visible_character(c) for c in text)


def _visible_character(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] != "C" and category not in ("Zl", "Zp"):
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def three_digits(value: float | None) -> str:
    """Return a number with three significant digits and thousands separators, never an exponent."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    decimals = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, decimals)
    if abs(rounded) >= 10 ** (3 - decimals):  # 9.996 rounds up to 10.00, which has a digit too many
        decimals -= 1
    return f"{rounded:,.{min(max(decimals, 0), 6)}f}"


def count(value: float | None) -> str:
    """Return a count; a mean of counts that is not whole has one decimal."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def points(share: float) -> str:
    """Write a difference of two shares in percentage points: "0.2 points"."""
    return f"{100 * share:g} {'point' if share == 0.01 else 'points'}"


def to_settle(images: float | None, seeds: float | None, *, together: bool) -> str:
    """Write what would settle a comparison: "about 40,000 images or 12 seeds would settle it".

    A number is None or NaN where none would; `together` says that it takes both.
    """
    numbers = [
        f"{math.ceil(number / step) * step:,.0f} {name}"
        for number, name in ((images, "images"), (seeds, "seeds"))
        if number is not None and math.isfinite(number)
        # Two digits: it rests on an estimate.
        for step in (10 ** max(0, math.floor(math.log10(number)) - 1),)
    ]
    if not numbers:
        return "no practicable number of images or seeds would settle it"
    return f"about {(' and ' if together else ' or ').join(numbers)} would settle it"


def percent(share: float | None, images: int) -> str:
    """Return a share in per cent without its sign, with as many decimals as one image in `images` changes.

    With 10,000 images that is two decimals, with 360 one.
    """
    if share is None or not math.isfinite(share):
        return MISSING
    return f"{100 * share:.{percent_decimals(images)}f}"


def percent_decimals(images: int) -> int:
    """Return the number of decimals for a percentage of so many images, from 1 to 4."""
    return min(max(math.ceil(math.log10(max(images, 1))) - 2, 1), 4)


def interval(low: float | None, high: float | None, images: int) -> str:
    """Return an interval of shares in per cent, "98.10-98.60", with a non-breaking hyphen."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    return f"{percent(low, images)}\N{NON-BREAKING HYPHEN}{percent(high, images)}"


def with_interval(share: float | None, low: float | None, high: float | None, images: int) -> str:
    """Return a share and its interval in per cent, "98.37 (98.10-98.60)"."""
    written = percent(share, images)
    return written if written == MISSING else f"{written} ({interval(low, high, images)})"


def megabytes(size_bytes: float | None) -> str:
    """Return a size in MB of 10**6 bytes."""
    return three_digits(None if size_bytes is None else size_bytes / 1e6)


def duration(seconds: float) -> str:
    """Return a time with its unit: "14.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 100:
        return f"{three_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def plural(number: int, noun: str) -> str:
    """Return a count with its noun: "1 trial", "6 trials"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
