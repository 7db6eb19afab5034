"""How cost and accuracy grow with the number of training images, in a run with several sizes of them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pandas as pd

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.tables import Column, Table, median, text
from mnistbench.stats.accuracy import difference_interval
from mnistbench.stats.growth import COST_EXPONENTS, ERROR_EXPONENTS, LEAST_SIZES, Law, fit_law
from mnistbench.text import MISSING, count, duration, megabytes, percent, three_digits, with_interval

BEYOND = 4
"""How many times the largest size the extrapolated accuracy is of."""

Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Family:
    """One model with the same parameters and threads at several training sizes."""

    label: str
    rows: tuple[Configuration, ...]  # its configurations that succeeded, by ascending size, three or more

    @property
    def sizes(self) -> list[int]:
        """The training images of each row, ascending."""
        return [row.measurements[0].train_images for row in self.rows]

    @property
    def synthetic_sizes(self) -> frozenset[int]:
        """Those of these sizes at which some of the images are synthetic."""
        return frozenset(n for n, row in zip(self.sizes, self.rows, strict=True) if row.trials[0].synthetic)

    def against_size(self, cost: str) -> list[Place]:
        """Return the training images and the median of a cost, such as "peak_rss_bytes", of each row."""
        costs = [median([getattr(m, cost) for m in row.measurements]) for row in self.rows]
        return [(size, cost) for size, cost in zip(self.sizes, costs, strict=True) if cost]

    @property
    def against_seconds(self) -> list[Place]:
        """The median training time and the mean accuracy of each row."""
        return [(row.fit_seconds, row.accuracy) for row in self.rows if row.fit_seconds and row.accuracy]

    @property
    def accuracies(self) -> list[Place]:
        """The training images and the mean accuracy of each row."""
        return [(n, row.accuracy) for n, row in zip(self.sizes, self.rows, strict=True) if row.accuracy]

    @cached_property
    def cost(self) -> Law | None:
        """The law of its training times; None where the clock did not resolve them at enough sizes."""
        times = [(m.train_images, m.fit_seconds, 1.0) for row in self.rows for m in row.measurements]
        return _law(times, COST_EXPONENTS)

    @cached_property
    def error(self) -> Law | None:
        """The law of its shares of errors, on these test images; None with too few sizes that have errors."""
        return _law(
            [
                (size, r.quality.error_count / r.quality.test_count, r.quality.error_count)
                for size, row in zip(self.sizes, self.rows, strict=True)
                for r in row.by_seed
                if r.quality is not None
            ],
            ERROR_EXPONENTS,
        )


def families(rows: Sequence[Configuration]) -> list[Family]:
    """Return the models that were trained on three sizes or more, the most accurate at its largest first."""
    found: dict[str, list[Configuration]] = {}
    for row in rows:
        if row.by_seed and row.measurements:
            found.setdefault(row.family, []).append(row)
    grown = [
        Family(label, tuple(sorted(each, key=lambda row: row.measurements[0].train_images)))
        for label, each in found.items()
    ]
    several = [family for family in grown if len(set(family.sizes)) >= LEAST_SIZES]
    return sorted(several, key=lambda family: -(family.rows[-1].accuracy or 0.0))


def growth(found: Sequence[Family]) -> Table | None:
    """Tabulate the laws of training time and accuracy, and the memory; None without any family."""
    if not found:
        return None
    frame = pd.DataFrame([_described(family) for family in found])
    images = max(row.test_count for family in found for row in family.rows)
    largest = set(frame["largest_size"])
    there = f"{min(largest):,}" if len(largest) == 1 else "the largest size"
    if any(family.synthetic_sizes for family in found):
        there += ", partly synthetic"
    columns = (
        Column("row", "model", text, right=False),
        Column("exponent", "k (95 %)", _exponent, beside=("exponent_low", "exponent_high")),
        Column("fixed_seconds", "a, s", three_digits),
        Column("law", "law of the time", _verdict, right=False, beside=("law_worst", "departures")),
        *((Column("largest_size", "largest size", count),) if len(largest) > 1 else ()),
        Column("largest_seconds", f"fit at {there}, s", three_digits),
        Column("largest_accuracy", "accuracy, %", partial(percent, images=images)),
        Column(
            "beyond_accuracy",
            f"at {BEYOND} times it, % (95 %)",
            partial(with_interval, images=images),
            beside=("beyond_low", "beyond_high"),
        ),
        Column("smallest_rss_bytes", "RAM from, MB", megabytes),
        Column("largest_rss_bytes", "to, MB", megabytes),
    )
    return Table("growth", "How training time, accuracy and memory grow with the images", frame, columns)


def crossovers(found: Sequence[Family]) -> list[str]:
    """Say in words which family is most accurate at which size, and for which time of training.

    Another one takes over only where it is clearly better than the one before: the 95 % interval of the
    difference of their accuracies is above 0.
    """
    if len(found) < 2:
        return []
    return [_by_size(found), _by_seconds(found)]


def _law(points: Sequence[tuple[int, float, float]], exponents: Place) -> Law | None:
    """Fit the law to (size, value, weight), leaving out values of 0, which have no logarithm."""
    kept = [point for point in points if point[1] > 0]
    if len({size for size, _, _ in kept}) < LEAST_SIZES:
        return None
    sizes, values, weights = zip(*kept, strict=True)
    return fit_law(sizes, values, exponents, weights)


def _described(family: Family) -> dict[str, Any]:
    cost, error, last = family.cost, family.error, family.rows[-1]
    exponent = cost.exponent if cost else None
    beyond = BEYOND * family.sizes[-1]
    errors = error.interval_at(beyond) if error else None
    memory = [bytes_ for _, bytes_ in family.against_size("peak_rss_bytes")]
    return {
        "row": family.label,
        "exponent": cost.k if cost else None,
        "exponent_low": exponent.low if exponent else None,
        "exponent_high": exponent.high if exponent else None,
        "fixed_seconds": cost.a if cost else None,
        "law": cost.verdict if cost else None,
        "law_worst": cost.worst if cost else None,
        "departures": ", ".join(f"{size:,}" for size in cost.departures) if cost else None,
        "smallest_size": family.sizes[0],
        "largest_size": family.sizes[-1],
        "largest_seconds": last.fit_seconds,
        "largest_accuracy": last.accuracy,
        "beyond_size": beyond,
        "beyond_accuracy": max(0.0, 1 - error.at(beyond)) if error and errors else None,
        "beyond_low": max(0.0, 1 - errors.high) if errors else None,
        "beyond_high": 1 - errors.low if errors else None,
        "smallest_rss_bytes": memory[0] if memory else None,
        "largest_rss_bytes": memory[-1] if memory else None,
    }


def _exponent(k: float | None, low: float | None, high: float | None) -> str:
    if k is None or k != k:
        return MISSING
    known = low is not None and high is not None and low == low
    return f"{k:.2f} ({low:.2f}\N{NON-BREAKING HYPHEN}{high:.2f})" if known else f"{k:.2f}"


def _verdict(verdict: str | None, worst: float, departures: str) -> str:
    if verdict is None or verdict != verdict:
        return MISSING
    if verdict == "departs":
        return f"not at {departures}"
    within = f"within {max(1, math.ceil(100 * (worst - 1)))} %".replace(" ", "\N{NO-BREAK SPACE}")
    return f"holds {within}" if verdict == "holds" else f"cannot tell; {within}"


def _by_size(found: Sequence[Family]) -> str:
    at = {family.label: dict(zip(family.sizes, family.rows, strict=True)) for family in found}
    sizes = sorted(set().union(*(family.sizes for family in found)))
    leader, said = "", ""
    for before, size in itertools.pairwise([0, *sizes]):
        here = {label: rows[size] for label, rows in at.items() if size in rows}
        best = max(here, key=lambda label: here[label].accuracy or 0.0)
        if not leader:
            leader, said = best, f"From {size:,} training images {best} is the most accurate"
        elif best != leader and leader in here and _is_clearly_better(here[best], here[leader]):
            where = _crossing(at[leader], at[best], before, size)
            said += f"; {best} overtakes it at about {where:,}"
            leader = best
    return f"{said}; no other overtakes it up to {sizes[-1]:,}."


def _by_seconds(found: Sequence[Family]) -> str:
    timed = sorted(
        ((row.fit_seconds, family.label, row) for family in found for row in family.rows if row.fit_seconds),
        key=lambda each: (each[0], -(each[2].accuracy or 0.0), each[1]),
    )
    leader, best, steps = "", None, list[str]()
    for seconds, label, row in timed:
        if best is None or (
            _is_clearly_better(row, best) if label != leader else (row.accuracy or 0) > (best.accuracy or 0)
        ):
            if label != leader:
                verb = "overtakes it" if steps else "is the most accurate"
                steps.append(f"{label} {verb} at {duration(seconds)} of training")
            leader, best = label, row
    return f"By time, {'; '.join(steps)}."


def _is_clearly_better(a: Configuration, b: Configuration) -> bool:
    one, other = a.estimate, b.estimate
    return one is not None and other is not None and difference_interval(one, other).low > 0


def _crossing(old: dict[int, Configuration], new: dict[int, Configuration], before: int, size: int) -> int:
    """Return about where two accuracies meet on a logarithmic scale, between two sizes, to two digits."""
    where = float(size)
    if before in old and before in new:
        first, last = ((new[n].accuracy or 0.0) - (old[n].accuracy or 0.0) for n in (before, size))
        share = -first / (last - first) if first < 0 < last else 0.0
        where = before * math.exp(share * math.log(size / before))
    digits: int = 10 ** max(0, math.floor(math.log10(where)) - 1)
    return round(where / digits) * digits
