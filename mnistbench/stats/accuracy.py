"""The uncertainty of accuracies.

Accuracy varies for two separate reasons: other test images might have been drawn (sampling), and another
seed would have trained another model (training). Intervals cover 95 % unless stated otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np

# scipy.stats would do as well, but takes over a second to import.
from scipy.special import ndtri, stdtrit

from mnistbench.errors import DataError
from mnistbench.stats.groups import Clustering

CONFIDENCE = 0.95

POWER = 0.8
"""Chance of a verdict that numbers which would settle a comparison aim at; the usual convention."""


@dataclass(frozen=True)
class Interval:
    """A range, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class AccuracyEstimate:
    """Mean accuracy of one model over its fits, with the two sources of variation separate."""

    fits: int  # number of fits, one per seed
    test_count: int  # test images of each fit
    mean: float  # mean accuracy over the fits
    # independent images that these are worth, their number over the design effect; None where it is not known
    # which belong together.
    effective_count: float | None
    sampling: Interval  # wilson interval of one fit with this accuracy: the same seeds, other test images
    training_sd: float | None  # sample standard deviation between seeds; None for a single fit
    training: Interval | None  # t interval of the mean: same test images, other seeds; None for a single fit


def wilson_interval(successes: float, count: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a proportion by the score method; the numbers may be fractional.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    Raises:
        DataError: `count` is not above 0, or `successes` is outside 0 to `count`.
    """
    if not count > 0 or not 0 <= successes <= count:
        raise DataError(f"{successes} of {count} is not a proportion: expected 0 to n successes, n above 0.")
    z = float(ndtri((1 + confidence) / 2))
    share = successes / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # At both ends the bound is exactly 0 or 1, but for rounding.
    return Interval(
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == count else min(1.0, centre + half),
    )


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return the quantile of Student's t distribution; the degrees of freedom may be fractional."""
    return float(stdtrit(degrees_of_freedom, probability))


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of the mean of a normal sample, by Student's t.

    Raises:
        DataError: there are fewer than two values.
    """
    if len(values) < 2:
        raise DataError(
            f"{len(values)} value has no spread: expected at least two, for example from more seeds."
        )
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = t_quantile((1 + confidence) / 2, len(values) - 1) * sd / sqrt(len(values))
    return Interval(mean - half, mean + half)


def accuracy_estimate(
    error_counts: Sequence[int], test_count: int, clustering: Clustering | None = None
) -> AccuracyEstimate:
    """Return the summary of one model's fits, one error count per seed, on the same `test_count` images.

    Where the images come in groups, Wilson's interval is that of their effective number, n over the design
    effect. For few groups it is wider by the ratio of the t quantiles with one less than the number of groups
    and of images as degrees of freedom. So it is the plain one where each image is its own group.

    Sources: E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", Survey Methodology 24 (1998), for the effective number. C.
    Franco, R. J. A. Little, T. A. Louis and E. V. Slud, "Comparative study of confidence intervals for
    proportions in complex sample surveys", Journal of Survey Statistics and Methodology 7 (2019), for
    Wilson's interval with it.

    There is one error count a seed. Without a clustering, images count as independent.

    Raises:
        DataError: there is no fit, or an error count is outside 0 to `test_count`.
    """
    if not error_counts or test_count < 1 or not all(0 <= errors <= test_count for errors in error_counts):
        raise DataError(f"Error counts {list(error_counts)} do not fit {test_count} test images.")
    accuracies = [(test_count - errors) / test_count for errors in error_counts]
    over_seeds = t_interval(accuracies) if len(accuracies) > 1 else None
    known = clustering if clustering is not None else Clustering(groups=test_count, design_effect=1.0)
    effective = test_count / known.design_effect
    # The width of Wilson's interval goes with the root of the number.
    counted = effective * (_t_of_mean(test_count) / _t_of_mean(known.groups)) ** 2
    right = test_count - float(np.mean(error_counts))
    return AccuracyEstimate(
        fits=len(accuracies),
        test_count=test_count,
        mean=float(np.mean(accuracies)),
        effective_count=effective if clustering is not None else None,
        sampling=wilson_interval(right * (counted / test_count), counted),
        training_sd=float(np.std(accuracies, ddof=1)) if over_seeds else None,
        training=Interval(max(0.0, over_seeds.low), min(1.0, over_seeds.high)) if over_seeds else None,
    )


def _t_of_mean(count: int) -> float:
    return t_quantile((1 + CONFIDENCE) / 2, max(1, count - 1))


def difference_interval(a: AccuracyEstimate, b: AccuracyEstimate) -> Interval:
    """95 % interval of the accuracy of a less that of b, where it is not known which images each gets right.

    Without pairing it is wider than that of `paired_test` for models that find the same images hard. R. G.
    Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    17 (1998), method 10, with the distance from the mean to each end from sampling and training together.
    """
    (a_down, a_up), (b_down, b_up) = (_distances(each) for each in (a, b))
    return Interval(a.mean - b.mean - hypot(a_down, b_up), a.mean - b.mean + hypot(a_up, b_down))


def _distances(estimate: AccuracyEstimate) -> tuple[float, float]:
    parts = [each for each in (estimate.sampling, estimate.training) if each is not None]
    return (
        hypot(*(estimate.mean - each.low for each in parts)),
        hypot(*(each.high - estimate.mean for each in parts)),
    )
