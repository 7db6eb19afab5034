"""The uncertainty of accuracies: intervals, paired tests, tie groups.

Accuracy varies for two separate reasons: other test images might have been drawn (sampling), and another
seed would have trained another model (training). Intervals cover 95 % unless
stated otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# scipy.stats would do as well, but takes over a second to import.
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from mnistbench.errors import DataError

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Interval:
    """A range, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class AccuracyEstimate:
    """Mean accuracy of one model over its fits, with the two sources of variation separate.

    Attributes:
        fits: number of fits, one per seed.
        test_count: test images of each fit.
        mean: mean accuracy over the fits.
        sampling: Wilson interval of one fit with this accuracy: the same seeds, other test images.
        training_sd: sample standard deviation between seeds on these test images; None for a single fit.
        training: t interval of the mean: the same test images, other seeds; None for a single fit.
    """

    fits: int
    test_count: int
    mean: float
    sampling: Interval
    training_sd: float | None
    training: Interval | None


@dataclass(frozen=True)
class PairedTest:
    """Whether two models differ in accuracy on the same test images; see `paired_test`.

    Attributes:
        model_a, model_b: names.
        difference: accuracy of a less accuracy of b.
        interval: 95 % interval of the difference.
        p_value: two-sided, for the hypothesis that both are equally accurate.
        adjusted_p_value: after Holm's correction for all pairs tested together.
        method: how the p-value was computed.
        only_a, only_b: images that only a, or only b, classifies correctly; the mean over all pairs of fits.
        sampling_se: standard error of the difference due to the choice of test images.
        training_se: standard error due to the seeds; 0 if none was observed.
        training_covered: whether both models were fitted with several seeds, so that the p-value concerns
            the models and not only these fits.
    """

    model_a: str
    model_b: str
    difference: float
    interval: Interval
    p_value: float
    adjusted_p_value: float
    method: Literal["exact McNemar", "variance components"]
    only_a: float
    only_b: float
    sampling_se: float
    training_se: float
    training_covered: bool


def wilson_interval(successes: float, count: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a proportion by the score method.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    Raises:
        DataError: `count` is below 1, or `successes` is outside 0 to `count`.
    """
    if count < 1 or not 0 <= successes <= count:
        raise DataError(
            f"{successes} of {count} is not a proportion: expected 0 to n successes, n at least 1."
        )
    z = _normal_quantile((1 + confidence) / 2)
    share = successes / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # At both ends the bound is exactly 0 or 1, but for rounding.
    return Interval(
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == count else min(1.0, centre + half),
    )


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


def accuracy_estimate(error_counts: Sequence[int], test_count: int) -> AccuracyEstimate:
    """Return the summary of one model's fits, one error count per seed, on the same `test_count` images.

    Raises:
        DataError: there is no fit, or an error count is outside 0 to `test_count`.
    """
    if not error_counts or test_count < 1 or not all(0 <= errors <= test_count for errors in error_counts):
        raise DataError(f"Error counts {list(error_counts)} do not fit {test_count} test images.")
    accuracies = [(test_count - errors) / test_count for errors in error_counts]
    over_seeds = t_interval(accuracies) if len(accuracies) > 1 else None
    return AccuracyEstimate(
        fits=len(accuracies),
        test_count=test_count,
        mean=float(np.mean(accuracies)),
        sampling=wilson_interval(test_count - float(np.mean(error_counts)), test_count),
        training_sd=float(np.std(accuracies, ddof=1)) if over_seeds else None,
        training=Interval(max(0.0, over_seeds.low), min(1.0, over_seeds.high)) if over_seeds else None,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided exact p-value of equal accuracy, from the images that only one fit gets right.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), with the exact binomial distribution instead of the approximation.
    """
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted to bound the chance of any false discovery among them, float64 (m,).

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979).
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def paired_test(model_a: str, correct_a: ArrayLike, model_b: str, correct_b: ArrayLike) -> PairedTest:
    """Test whether two models are equally accurate, given which test images each of their fits got right.

    With one fit of each model this is the exact McNemar test. It says whether these two fits differ on
    images like these; other seeds might change the answer, so `training_covered` is False. The same test
    applies if all seeds of each model gave the same predictions, because training then adds no variance.

    With several fits, test images and seeds are both random samples, crossed within a model, like the cases
    and readers of multi-reader studies. With d_i the difference on image i of the two models' correctness,
    each averaged over its seeds, the variance of the mean difference is estimated as

        var(d_i) / n  +  v_a / S_a  +  v_b / S_b.

    The first term is the sampling of the n images; it includes that a seed helps on some images and harms on
    others. v is the variance between seeds beyond that: the seeds' mean square less the residual mean square
    of the two-way analysis of variance (seeds by images), over n, and not below 0, so nothing counts twice.
    The difference over its standard error is referred to Student's t with Satterthwaite's degrees of
    freedom, so that few seeds make a wide interval where training matters; there are at least as many as
    those of the least certain part, even if the variance between seeds is estimated at 0. Seeds of different
    models are independent: equal numbers are not paired. A model fitted once, beside one fitted several
    times, contributes no v, and `training_covered` is False. Simulated with errors near 1 %,
    10,000 images, 2 to 10 seeds and seed effects from none to dominating, a 5 % test rejects a true
    hypothesis in 2 % to 8 % of cases (8 % with 2 seeds).

    For few disagreements, half an image is added to each cell of the table right/wrong by right/wrong, as
    Agresti and Min do; the interval may contradict an exact McNemar p-value that is close to 5 %.

    Sources: F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2 (1946). S. L. Hillis, "A comparison of denominator degrees of freedom methods for
    multiple observer ROC analysis", Statistics in Medicine 26 (2007). A. Agresti and Y. Min, "Simple
    improved confidence intervals for comparing matched proportions", Statistics in Medicine 24 (2005).

    Args:
        model_a: name of the first model.
        correct_a: bool (seeds, n), or (n,) for one fit.
        model_b: name of the second model.
        correct_b: the same for the second model, with any number of seeds and the same images in the same
            order.

    Raises:
        DataError: the numbers of test images differ, or are 0.
    """
    return _paired_test(model_a, _summarise(correct_a), model_b, _summarise(correct_b))


def paired_tests(correct: Mapping[str, ArrayLike]) -> list[PairedTest]:
    """Test all pairs of models by `paired_test`, in the mapping's order, with Holm's correction.

    Args:
        correct: for each model bool (seeds, n), or (n,) for one fit; the same images in the same order.

    Raises:
        DataError: the numbers of test images differ, or are 0.
    """
    fits = {model: _summarise(right) for model, right in correct.items()}
    tests = [_paired_test(a, fits[a], b, fits[b]) for a, b in combinations(fits, 2)]
    adjusted = holm([test.p_value for test in tests])
    return [replace(test, adjusted_p_value=float(p)) for test, p in zip(tests, adjusted, strict=True)]


@dataclass(frozen=True)
class _Fits:
    """The summary of one model's fits for `paired_test`.

    `image_means` is the share of fits that classify each image correctly, (n,). `training_variance` is the
    variance of the mean accuracy due to the seeds, and `seed_square` the same before the residual mean square
    is subtracted.
    """

    image_means: NDArray[np.float64]
    count: int
    varies: bool
    training_variance: float = 0.0
    seed_square: float = 0.0


def _summarise(correct: ArrayLike) -> _Fits:
    right = np.atleast_2d(np.asarray(correct, dtype=bool))
    count, n = right.shape
    if not right.size:
        raise DataError(f"An array of shape {right.shape} has no results: expected (seeds, images).")
    image_means = right.mean(axis=0)
    if (right == right[0]).all():
        return _Fits(image_means, count, varies=False)
    # In integers, `size` times the sums of squares, as rounding would leave a variance where there is none.
    size, total = count * n, int(right.sum())
    image_sum = n * int(np.square(right.sum(axis=0)).sum()) - total**2
    seed_sum = count * int(np.square(right.sum(axis=1)).sum()) - total**2
    residual_sum = size * total - total**2 - image_sum - seed_sum
    beyond = seed_sum * max(1, n - 1) - residual_sum
    return _Fits(
        image_means,
        count,
        varies=True,
        training_variance=max(0, beyond) / (size**2 * (count - 1) * max(1, n - 1)),
        seed_square=seed_sum / (size**2 * (count - 1)),
    )


def _paired_test(model_a: str, a: _Fits, model_b: str, b: _Fits) -> PairedTest:
    n = len(a.image_means)
    if len(b.image_means) != n:
        raise DataError(
            f"{model_a} was tested on {n} images and {model_b} on {len(b.image_means)}: "
            "only predictions for the same images can be paired."
        )
    differences = a.image_means - b.image_means
    total = float(differences.sum())
    only_a = float((a.image_means * (1 - b.image_means)).sum())
    only_b = float((b.image_means * (1 - a.image_means)).sum())
    centre = total / (n + 2)
    sampling = ((float(differences @ differences) + 1) / (n + 2) - centre**2) / (n + 2)
    training = a.training_variance + b.training_variance
    se = sqrt(sampling + training)
    uncertainty = sampling**2 / max(1, n - 1)
    uncertainty += sum(fits.seed_square**2 / (fits.count - 1) for fits in (a, b) if fits.varies)
    # The sum has at least the degrees of its least certain part, which subtracting residuals can hide.
    least = min([n - 1, *(fits.count - 1 for fits in (a, b) if fits.varies)])
    degrees_of_freedom = max(se**4 / uncertainty, least, 1)
    half = t_quantile((1 + CONFIDENCE) / 2, degrees_of_freedom) * se
    exact = not (a.varies or b.varies)
    p_value = (
        mcnemar(round(only_a), round(only_b))
        if exact
        else 2 * float(stdtr(degrees_of_freedom, -abs(centre) / se))
    )
    return PairedTest(
        model_a=model_a,
        model_b=model_b,
        difference=total / n,
        interval=Interval(max(-1.0, centre - half), min(1.0, centre + half)),
        p_value=p_value,
        adjusted_p_value=p_value,
        method="exact McNemar" if exact else "variance components",
        only_a=only_a,
        only_b=only_b,
        sampling_se=sqrt(sampling),
        training_se=sqrt(training),
        training_covered=a.count > 1 and b.count > 1,
    )


def tie_groups(
    ranking: Sequence[str], tests: Sequence[PairedTest], significance: float = SIGNIFICANCE
) -> list[tuple[str, ...]]:
    """Return the groups of statistically tied models: a compact letter display, one letter per group.

    Two models tie if their adjusted p-value is at least `significance`. All models of a group tie with each
    other, no further model could join it, and two models share a group exactly if they tie. So groups overlap
    where a ties with b and b with c but not a with c, and a model that ties with none is alone. Each pair,
    best first, that does not share a group yet starts one, which every model that ties with all its members
    then joins, best first. H.-P. Piepho, "An algorithm for a letter-based representation of
    all-pairwise comparisons", Journal of Computational and Graphical Statistics 13 (2004), describes the
    display.

    Args:
        ranking: the models, best first.
        tests: from `paired_tests`, for every pair of them.
        significance: level below which a difference is significant.

    Returns:
        The groups, best first, each in the order of the ranking.
    """
    apart = {
        frozenset((test.model_a, test.model_b)) for test in tests if test.adjusted_p_value < significance
    }
    groups: list[tuple[str, ...]] = []
    for pair in combinations(ranking, 2):
        if frozenset(pair) in apart or any(set(pair) <= set(group) for group in groups):
            continue
        members = set(pair)
        for model in ranking:
            if all(frozenset((model, member)) not in apart for member in members):
                members.add(model)
        groups.append(tuple(model for model in ranking if model in members))
    groups += [(model,) for model in ranking if not any(model in group for group in groups)]
    return sorted(groups, key=lambda group: [ranking.index(model) for model in group])


def _normal_quantile(probability: float) -> float:
    return float(ndtri(probability))


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return the quantile of Student's t distribution; the degrees of freedom may be fractional."""
    return float(stdtrit(degrees_of_freedom, probability))
