"""Repeated timings: their spread, and whether two sets of them differ.

No timing, or one that is not a positive number, is a DataError.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# scipy.stats would do as well, but takes over a second to import.
from scipy.special import stdtr

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import CONFIDENCE, POWER, Interval, t_quantile

FASTER_FACTOR = 1.05
"""Least ratio of times for a verdict; the state of a machine often changes times by a few per cent."""

UNITS_FACTOR = 1.55
"""Least ratio of times in calibration units for a verdict: the same fits differed by it between machines.

It is the largest of the factors that `benchmarks/studies/units.py` found between two kinds of processors;
results/README.md has them.
"""

MOST_REPEATS = 1000
"""A difference of times that would take more repeats counts as one that repeats cannot settle."""


@dataclass(frozen=True)
class TimingSummary:
    """Repeated timings of one thing, in seconds and in the order taken; quartiles interpolate linearly."""

    seconds: tuple[float, ...]
    median: float
    minimum: float
    maximum: float
    lower_quartile: float
    upper_quartile: float

    @property
    def interquartile_range(self) -> float:
        """Upper less lower quartile, in seconds."""
        return self.upper_quartile - self.lower_quartile


Verdict = Literal["faster", "slower", "same", "cannot tell"]


@dataclass(frozen=True)
class TimeComparison:
    """The times after a change against those before; see `compare_times`."""

    ratio: float  # geometric mean after over geometric mean before, so above 1 is slower
    interval: Interval | None  # interval of the ratio; None if a side was timed only once
    p_value: float | None  # two-sided, that the ratio is 1; None if a side was timed only once
    verdict: Verdict  # whether the time changed
    # if the verdict is "cannot tell", about how many repeats per side would settle it in 80 % of cases, given
    # the observed ratio and spread. None if a side was timed only once, so that the spread is unknown, or if
    # it would take more than `MOST_REPEATS`.
    repeats_to_settle: int | None


def timing_summary(seconds: Sequence[float]) -> TimingSummary:
    """Return the summary of repeated timings."""
    _logarithms(seconds)
    minimum, lower, median, upper, maximum = np.quantile(seconds, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return TimingSummary(tuple(seconds), median, minimum, maximum, lower, upper)


def compare_times(
    before: Sequence[float],
    after: Sequence[float],
    *,
    factor: float = FASTER_FACTOR,
    confidence: float = CONFIDENCE,
) -> TimeComparison:
    """Return whether times changed, from repeated timings in seconds or in calibration units.

    Welch's t test (B. L. Welch, Biometrika 34, 1947) compares the logarithms, and the exponential of its
    interval is that of the ratio of geometric means. Logarithms, because disturbances multiply a time; Welch,
    because two runs differ in their noise; no rank test, because with three timings a side none reaches 5 %.
    Simulated with 3 to 10 log-normal timings a side and spreads of 2 % and 20 %, equal or not, the interval
    covers the ratio in 93 % to 97 % of cases, and in 97 % to 99 % where a tenth of all timings takes half as
    long again. It cannot anticipate slow outliers that a side has not shown.

    The verdict is "slower" or "faster" if the ratio is at least `factor` (or at most its inverse) and also
    differs from 1 significantly; "same" if the whole interval lies between those bounds; else "cannot tell".
    Timings within one run share the machine's state, so the interval misses variation between runs; the
    factor guards against it. To test m times at once, pass 1 - 0.05 / m as `confidence`.
    """
    x, y = _logarithms(before), _logarithms(after)
    shift, bound = float(y.mean() - x.mean()), log(factor)
    if min(len(x), len(y)) < 2:
        return TimeComparison(exp(shift), None, None, "cannot tell", None)
    x_variance, y_variance = float(x.var(ddof=1)), float(y.var(ddof=1))
    x_part, y_part = x_variance / len(x), y_variance / len(y)
    se = sqrt(x_part + y_part)
    p_value, half = float(shift == 0), 0.0
    if se > 0:
        degrees_of_freedom = se**4 / (x_part**2 / (len(x) - 1) + y_part**2 / (len(y) - 1))
        p_value = 2 * float(stdtr(degrees_of_freedom, -abs(shift) / se))
        half = t_quantile((1 + confidence) / 2, degrees_of_freedom) * se
    verdict: Verdict = "cannot tell"
    repeats = None
    if p_value < 1 - confidence and abs(shift) >= bound:
        verdict = "slower" if shift > 0 else "faster"
    elif abs(shift) + half < bound:
        verdict = "same"
    else:
        distance = abs(shift) if abs(shift) >= bound else bound - abs(shift)
        least = max(len(x), len(y)) + 1
        repeats = _repeats_to_see(distance, x_variance, y_variance, confidence, least)
    return TimeComparison(
        exp(shift), Interval(exp(shift - half), exp(shift + half)), p_value, verdict, repeats
    )


def _repeats_to_see(
    distance: float, x_variance: float, y_variance: float, confidence: float, least: int
) -> int | None:
    """Return the repeats per side with which Welch's test finds a `distance` of logarithms with `POWER`."""
    variance = x_variance + y_variance
    candidates = range(least, MOST_REPEATS + 1)

    def enough(repeats: int) -> bool:
        degrees_of_freedom = (repeats - 1) * variance**2 / (x_variance**2 + y_variance**2)
        needed = t_quantile((1 + confidence) / 2, degrees_of_freedom) + t_quantile(POWER, degrees_of_freedom)
        return needed * sqrt(variance / repeats) < distance

    position = bisect_left(candidates, True, key=enough)
    return candidates[position] if position < len(candidates) else None


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the models on the Pareto front, fastest first, from each model's (accuracy, seconds).

    One model dominates another if it is at least as accurate and as fast, and better in one of the two; so
    models at the same point are on the front together.
    """
    front: list[str] = []
    for model in sorted(points, key=lambda name: (points[name][1], -points[name][0], name)):
        if not front or points[model][0] > points[front[-1]][0] or points[model] == points[front[-1]]:
            front.append(model)
    return front


def _logarithms(seconds: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(seconds, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or not (values > 0).all():
        raise DataError(f"The timings {list(seconds)} are not one or more positive numbers.")
    return np.log(values)
