"""The result of a run in a sentence or two, written from the data."""

from collections.abc import Sequence

from mnistbench.analysis.configurations import Configuration, status_counts
from mnistbench.runs.records import RunInfo
from mnistbench.stats.pairs import PairedTest
from mnistbench.text import count, duration, percent, plural, three_digits, to_settle

_LISTED = 3


def headline(info: RunInfo, rows: Sequence[Configuration], tests: Sequence[PairedTest]) -> str:
    """Return who won, by how much, and at what cost; `rows` are best first."""
    good = [row for row in rows if row.accuracy is not None]
    if not good:
        if not any(row.records for row in rows):
            return "No trial has ended yet."
        return f"No trial succeeded: {status_counts(rows)}."
    best, *others = good
    seeds = f", mean over {plural(len(best.by_seed), 'seed')}" if len(best.by_seed) > 1 else ""
    of_best = {test.model_b: test for test in tests if test.model_a == best.label}
    verdicts = {label: test.verdict for label, test in of_best.items()}
    same = [row for row in others if verdicts.get(row.label) == "practically the same"]
    unclear = [row for row in others if verdicts.get(row.label) == "cannot tell"]
    rest = [row for row in others if row not in same and row not in unclear]
    verb = "leads" if same or unclear else "is best"
    sentence = f"{best.label} {verb}: {_errors(best)} in {best.test_count:,} {images_of(info)}"
    sentence += f" ({percent(best.accuracy, best.test_count)} % right{seeds}){_cost(best)}"
    if same:
        sentence += f". Practically the same: {_listed(same)}"
    if unclear:
        first = of_best[unclear[0].label]
        settled = to_settle(first.images_to_settle, first.seeds_to_settle, together=first.settled_together)
        sentence += f". Cannot tell whether it is better than {_listed(unclear)}"
        sentence += f"; {settled}{f' for {unclear[0].label}' if len(unclear) > 1 else ''}"
    if rest:
        sentence += f"{'.' if same or unclear else ';'} {_runner_up(best, rest[0])}"
    fastest = min(good, key=lambda row: row.fit_seconds or 0.0)
    if rest and fastest in rest[1:] and fastest.fit_seconds is not None:
        sentence += f". Fastest to train is {fastest.label}: "
        sentence += f"{duration(fastest.fit_seconds)}, {_errors(fastest)}"
    return sentence + "."


def title(info: RunInfo) -> str:
    """Name the images of a run for a title, in capitals where they are not MNIST's test images as asked."""
    instead = ", INSTEAD OF MNIST" if info.dataset.fallback_reason else ""
    return f"{info.dataset.title}{instead}{', VALIDATION IMAGES' if info.is_validation else ''}"


def notice(info: RunInfo) -> str:
    """Return what every table has to say about its images, in a few words; nothing for a plain test."""
    notices = list(info.dataset.changes)
    if info.dataset.fallback_reason:
        notices.append(f"{info.dataset.name} instead of MNIST")
    if info.is_validation:
        notices.append("validation images, not test images")
    return "; ".join(notices)


def images_of(info: RunInfo) -> str:
    """Name the images that a run is evaluated on: "test images" or "validation images"."""
    return "validation images" if info.is_validation else "test images"


def exact_test(*infos: RunInfo) -> str:
    """Name the test of single fits in runs on the same images, of which one may know their groups."""
    noun = next((info.dataset.group_noun for info in infos if info.dataset.groups_sha256), None)
    return f"exact sign flips of whole {noun}s" if noun else "exact McNemar test"


def _errors(row: Configuration) -> str:
    errors = row.error_count or 0.0
    return f"{count(errors)} {'error' if errors == 1 else 'errors'}"


def _cost(row: Configuration) -> str:
    return "" if row.fit_seconds is None else f" after {duration(row.fit_seconds)} of training"


def _listed(rows: Sequence[Configuration]) -> str:
    shown = [f"{row.label} ({count(row.error_count)}{_cost(row)})" for row in rows[:_LISTED]]
    if len(rows) > _LISTED:
        shown.append(f"{len(rows) - _LISTED} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _runner_up(best: Configuration, second: Configuration) -> str:
    least, more = best.error_count or 0.0, second.error_count or 0.0
    if more == least:
        return f"{second.label} makes as many{_cost(second)}"
    times = f" ({three_digits(more / least)} times as many)" if least else ""
    return f"{second.label} comes next with {count(more)}{times}{_cost(second)}"
