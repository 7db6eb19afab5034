"""A comparison for people: in a terminal, or as Markdown for a pull request."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mnistbench.analysis.changes import LEAST_FACTORS, Change, Comparison, TimeChange
from mnistbench.analysis.headline import exact_test
from mnistbench.stats.accuracy import Interval
from mnistbench.stats.pairs import PairedTest
from mnistbench.stats.times import MOST_REPEATS, UNITS_FACTOR, timing_summary
from mnistbench.text import MISSING, count, points, three_digits, to_settle, visible

FEWEST_REPEATS = 3
_TIMING_NAMES = {"fit_seconds": "fit", "predict_seconds": "predict"}
_VERBS = {"fit_seconds": "train", "predict_seconds": "predict"}


@dataclass(frozen=True)
class ComparisonTable:
    """A table with its heading, and sentences below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def headline(comparison: Comparison) -> str:
    """Return in one sentence whether anything became worse, and what became better."""
    worse = [f"{change.label} {_what_is_worse(change)}" for change in comparison.regressions]
    better = [
        f"{change.label} {', '.join(gains)}"
        for change in comparison.changes
        if (gains := _what_is_better(change))
    ]
    parts = [f"Regression: {'; '.join(worse)}." if worse else "No regression found."]
    unclear = [change.label for change in comparison.changes if change.accuracy_verdict == "cannot tell"]
    if unclear:
        parts.append(f"Cannot tell whether the accuracy changed: {', '.join(unclear)}.")
    if comparison.only_a:
        parts.append(f"Missing in B, so not compared: {', '.join(comparison.only_a)}.")
    if better:
        parts.append(f"Improvement: {'; '.join(better)}.")
    return " ".join(parts)


def sections(comparison: Comparison) -> list[ComparisonTable]:
    """Return the tables of a comparison, the environments first."""
    unpaired = [
        f"Only in {run}: {', '.join(labels)}."
        for run, labels in (("A", comparison.only_a), ("B", comparison.only_b))
        if labels
    ]
    surroundings = tuple((d.what, d.a or MISSING, d.b or MISSING) for d in comparison.differences)
    return [
        ComparisonTable(
            "Environments",
            ("", "A", "B"),
            surroundings,
            ()
            if surroundings
            else ("No differences: same machine, libraries, commit, threads and model files.",),
        ),
        ComparisonTable(
            "Accuracy",
            ("model", "wrong in A", "wrong in B", "change, points", "95 %", "p", "verdict"),
            tuple(_accuracy_row(change) for change in comparison.changes),
            (
                f"Evaluated on {_images(comparison)}. p is from the paired test on the same images "
                f"({exact_test(comparison.a, comparison.b)} for one seed), with Holm's correction for all "
                "models. Practically the same: the whole 95 % interval lies within "
                f"{points(comparison.margin)}.",
                *unpaired,
            ),
        ),
        _times(comparison),
    ]


def markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown."""
    from mnistbench.report.markdown import code, escape, grid

    named = f"A is {code(comparison.a.name)}, B is {code(comparison.b.name)}."
    parts = ["## What changed from A to B", f"**{escape(headline(comparison))}**", named]
    for section in sections(comparison):
        parts.append(f"### {section.title}")
        if section.rows:
            rows = [[escape(cell) for cell in row] for row in section.rows]
            parts.append(grid([*map(escape, section.columns)], rows, [False] * len(section.columns)))
        parts += [escape(note) for note in section.notes]
    return "\n\n".join(parts) + "\n"


def show(comparison: Comparison, console: Console) -> None:
    """Print the comparison in a terminal."""
    console.print(Text(f"A is {visible(comparison.a.name)}, B is {visible(comparison.b.name)}."))
    console.print(Text(visible(headline(comparison)), style="bold red" if comparison.regressions else "bold"))
    for section in sections(comparison):
        console.print()
        console.print(Text(section.title, style="bold"))
        if section.rows:
            table = Table(box=None, pad_edge=False, header_style="dim")
            for number, column in enumerate(section.columns):
                table.add_column(Text(visible(column)), overflow="fold", ratio=None if number else 1)
            for row in section.rows:
                table.add_row(*(Text(visible(cell)) for cell in row))
            console.print(table)
        for note in section.notes:
            console.print(Text(visible(note), style="dim"))


def _images(comparison: Comparison) -> str:
    return "validation images, not test images" if comparison.a.is_validation else "test images"


def _accuracy_row(change: Change) -> tuple[str, ...]:
    if change.error_counts is None:
        return (change.label, MISSING, MISSING, MISSING, MISSING, MISSING, " to ".join(change.status))
    before, after = map(count, change.error_counts)
    test = change.accuracy
    if test is None:
        return (change.label, before, after, MISSING, MISSING, MISSING, "unknown: predictions are missing")
    return (
        change.label,
        before,
        after,
        f"{100 * test.difference:+.2f}",
        # Of other seeds the interval would still speak, but a reader would take it to be of these.
        MISSING if change.identical else f"{100 * test.interval.low:+.2f} to {100 * test.interval.high:+.2f}",
        f"{test.adjusted_p_value:.2g}",
        "broken: " + " to ".join(change.status) if change.broken else _accuracy_verdict(change, test),
    )


def _accuracy_verdict(change: Change, test: PairedTest) -> str:
    if change.accuracy_verdict == "identical":
        return "identical predictions"
    if change.accuracy_verdict != "cannot tell":
        return change.accuracy_verdict
    settled = to_settle(test.images_to_settle, test.seeds_to_settle, together=test.settled_together)
    return f"cannot tell: {settled}"


def _times(comparison: Comparison) -> ComparisonTable:
    rows = tuple(_time_row(change, time) for change in comparison.changes for time in change.times)
    units = {time.unit for change in comparison.changes for time in change.times}
    problems = dict.fromkeys(
        change.time_problem for change in comparison.changes if change.time_problem is not None
    )
    notes = [f"Not compared: {problem}." for problem in problems]
    if "calibration units" in units:
        notes.append(
            "The machines differ, so times are in calibration units: seconds divided by the time that the "
            "machine took for a fixed set of kernels in the same session. The same fits differ by a factor "
            f"of up to {UNITS_FACTOR} even so: only more is a difference."
        )
    if rows:
        notes.append(
            "Times are medians; the ratio is of geometric means, and above 1 is slower. Faster and slower "
            f"require a factor of {max(LEAST_FACTORS[unit] for unit in units)} and significance, corrected "
            "for all times; the interval has the same correction. Trust shows the grades of both times."
        )
    unit = "s" if units <= {"seconds"} else "calibration units"
    columns = ("model", "time", f"A, {unit}", f"B, {unit}", "ratio", "interval", "trust", "verdict")
    return ComparisonTable("Times", columns, rows, tuple(notes))


def _time_row(change: Change, time: TimeChange) -> tuple[str, ...]:
    found = time.comparison
    return (
        change.label,
        _TIMING_NAMES[time.timing],
        three_digits(timing_summary(time.a).median),
        three_digits(timing_summary(time.b).median),
        f"{found.ratio:.2f}",
        _range(found.interval),
        " to ".join(grade.letter if grade is not None else MISSING for grade in time.grades),
        _time_verdict(time),
    )


def _range(interval: Interval | None) -> str:
    return MISSING if interval is None else f"{interval.low:.2f} to {interval.high:.2f}"


def _time_verdict(time: TimeChange) -> str:
    found = time.comparison
    if found.verdict == "same" and time.unit == "calibration units":
        return "cannot tell: units are not that exact"
    if found.verdict != "cannot tell":
        return found.verdict
    if found.interval is None:
        return f"cannot tell: repeat at least {FEWEST_REPEATS} times"
    if found.repeats_to_settle is None:
        return f"cannot tell: not even {MOST_REPEATS:,} repeats would settle it"
    return f"cannot tell: about {found.repeats_to_settle} repeats would settle it"


def _what_is_worse(change: Change) -> str:
    found = []
    if change.broken:
        found.append(f"broke ({' to '.join(change.status)})")
    if change.accuracy_verdict == "worse":
        found.append("is less accurate")
    if change.is_unjudged:
        found.append("cannot be compared, because predictions are missing")
    return ", ".join([*found, *_times_that_are(change, "slower")])


def _what_is_better(change: Change) -> list[str]:
    found = ["is more accurate"] if change.accuracy_verdict == "better" else []
    return found + _times_that_are(change, "faster")


def _times_that_are(change: Change, verdict: str) -> list[str]:
    found = []
    for time in change.times:
        ratio = time.comparison.ratio
        if time.comparison.verdict == verdict == "slower":
            found.append(f"takes {three_digits(ratio)} times as long to {_VERBS[time.timing]}")
        elif time.comparison.verdict == verdict:
            found.append(f"{_VERBS[time.timing]}s {three_digits(1 / ratio)} times as fast")
    return found
