"""The uncertainty of accuracies: intervals, paired tests with their verdicts, tie groups.

Accuracy varies for two separate reasons: other test images might have been drawn (sampling), and another
seed would have trained another model (training). Intervals cover 95 % unless
stated otherwise.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# scipy.stats would do as well, but takes over a second to import.
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from mnistbench.errors import DataError
from mnistbench.stats.scores import MARGIN

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

POWER = 0.8
"""Chance of a verdict that the numbers which would settle a comparison aim at; the usual convention."""

MOST_IMAGES = 10_000_000
MOST_SEEDS = 1_000
"""Beyond these, a comparison counts as one that more images, or more seeds, cannot settle."""

Verdict = Literal["better", "worse", "practically the same", "cannot tell"]
"""How the first model of a pair compares with the second; see `judged`."""


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
class SeedVariation:
    """How the mean accuracy of one model varies with its seeds.

    Attributes:
        count: number of seeds, at least 2.
        variance: of the mean over the seeds, as far as it comes from the seeds.
        square: the same before the residual mean square is subtracted.
    """

    count: int
    variance: float
    square: float


@dataclass(frozen=True)
class Variation:
    """Where the variance of the difference of two models comes from; see `paired_test`.

    Attributes:
        images: number of test images.
        sampling: variance from the choice of these images.
        training: variation from the seeds, of each model that varies with them.
    """

    images: int
    sampling: float
    training: tuple[SeedVariation, ...]

    @property
    def seeds(self) -> int:
        """Seeds of the model that has most of them; 0 where neither varies with its seed."""
        return max((each.count for each in self.training), default=0)

    @property
    def training_variance(self) -> float:
        """Variance from the seeds of both models."""
        return sum((each.variance for each in self.training), 0.0)

    @property
    def standard_error(self) -> float:
        """Standard error of the difference."""
        return sqrt(self.sampling + self.training_variance)

    @property
    def degrees_of_freedom(self) -> float:
        """Satterthwaite's, and at least those of the least certain part."""
        uncertainty = self.sampling**2 / max(1, self.images - 1)
        uncertainty += sum(each.square**2 / (each.count - 1) for each in self.training)
        # Subtracting residuals can hide how uncertain a part is.
        least = min([self.images - 1, *(each.count - 1 for each in self.training)])
        return max(self.standard_error**4 / uncertainty, least, 1)

    def half_width(self, confidence: float) -> float:
        """Return half the width of the t interval of the difference."""
        return t_quantile((1 + confidence) / 2, self.degrees_of_freedom) * self.standard_error

    def scaled(self, images: int, seeds: int) -> "Variation":
        """Return it for so many images, and at least so many seeds of each model that varies."""
        share = self.images / images
        counts = [max(seeds, each.count) for each in self.training]
        return Variation(
            images,
            self.sampling * share,
            tuple(
                SeedVariation(
                    count,
                    each.variance * each.count / count,
                    # What the seeds seem to vary beyond their variance is noise of the images.
                    (each.variance + (each.square - each.variance) * share) * each.count / count,
                )
                for each, count in zip(self.training, counts, strict=True)
            ),
        )


@dataclass(frozen=True)
class PairedTest:
    """How two models compare in accuracy on the same test images; see `paired_test` and `judged`.

    Attributes:
        model_a, model_b: names.
        difference: accuracy of a less accuracy of b.
        interval: 95 % interval of the difference.
        p_value: two-sided, for the hypothesis that both are equally accurate.
        method: how the p-value was computed.
        only_a, only_b: images that only a, or only b, classifies correctly; the mean over all pairs of fits.
        variation: where the variance of the difference comes from.
        training_covered: whether both models were fitted with several seeds, so that the test concerns
            the models and not only these fits.
        adjusted_p_value: after Holm's correction for all pairs tested together.
        margin: difference up to which the two are practically the same.
        verdict: on a, compared with b; "cannot tell" until they are `judged`.
        images_to_settle: where the verdict is "cannot tell", about how many test images would settle it in
            80 % of cases if difference and variation are as they now seem; None where no number up to
            `MOST_IMAGES` would.
        seeds_to_settle: the same for seeds of each model, up to `MOST_SEEDS`; None too without several seeds.
        settled_together: whether it takes both numbers; otherwise either is enough.
    """

    model_a: str
    model_b: str
    difference: float
    interval: Interval
    p_value: float
    method: Literal["exact McNemar", "variance components"]
    only_a: float
    only_b: float
    variation: Variation
    training_covered: bool
    adjusted_p_value: float
    margin: float = MARGIN
    verdict: Verdict = "cannot tell"
    images_to_settle: int | None = None
    seeds_to_settle: int | None = None
    settled_together: bool = False

    @property
    def sampling_se(self) -> float:
        """Standard error of the difference due to the choice of test images."""
        return sqrt(self.variation.sampling)

    @property
    def training_se(self) -> float:
        """Standard error due to the seeds; 0 if none was observed."""
        return sqrt(self.variation.training_variance)

    @property
    def better(self) -> str | None:
        """The more accurate model; None where neither is shown to be."""
        return {"better": self.model_a, "worse": self.model_b}.get(self.verdict)

    def shows_not_worse(self, model: str) -> bool:
        """Return whether a model of the pair is better, or worse by at most the margin."""
        low = self.interval.low if model == self.model_a else -self.interval.high
        return self.better == model or low >= -self.margin


@dataclass(frozen=True)
class TieGroup:
    """Models none of which is shown to be better than another.

    Attributes:
        models: at least two, best first.
        is_same: whether every two of them are practically the same; else the test of some pair cannot tell.
    """

    models: tuple[str, ...]
    is_same: bool


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


def paired_tests(correct: Mapping[str, ArrayLike], margin: float = MARGIN) -> list[PairedTest]:
    """Test all pairs of models by `paired_test`, in the mapping's order, and judge them together.

    Args:
        correct: for each model bool (seeds, n), or (n,) for one fit; the same images in the same order.
        margin: see `judged`.

    Raises:
        DataError: the numbers of test images differ, or are 0.
    """
    fits = {model: _summarise(right) for model, right in correct.items()}
    return judged([_paired_test(a, fits[a], b, fits[b]) for a, b in combinations(fits, 2)], margin)


def judged(tests: Sequence[PairedTest], margin: float = MARGIN) -> list[PairedTest]:
    """Give each of the tests its p-value after Holm's correction for all of them, and its verdict.

    Two models are practically the same if the whole 95 % interval of their difference lies within the margin,
    even if the difference is significant. Else one is better if the adjusted p-value is below 5 %. Else
    the test cannot tell: that no difference was found does not show that there is none.

    Inclusion of the interval is the pair of one-sided tests of D. J. Schuirmann, "A comparison of the two
    one-sided tests procedure and the power approach for assessing the equivalence of average
    bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), each at 2.5 % and without
    correction for the number of pairs; the margin is the region of practical equivalence of J. K. Kruschke,
    "Rejecting or accepting parameter values in Bayesian estimation", Advances in Methods and Practices in
    Psychological Science 1 (2018).

    Where the test cannot tell, the numbers of images and of seeds are sought that would give a verdict with a
    chance of `POWER`, should the true difference be the one observed. The variance from sampling shrinks
    with the number of images, that from training with the number of seeds. A significant difference counts at
    the level of Holm's next step, 5 % divided by the number of pairs that are not significant yet. Where
    neither number suffices alone, both grow in proportion.

    Args:
        tests: all that are corrected together.
        margin: difference in accuracy, a share from 0 to 1.
    """
    adjusted = holm([test.p_value for test in tests]).tolist()
    open_count = sum(p >= SIGNIFICANCE for p in adjusted)
    return [
        _judged(replace(test, adjusted_p_value=p, margin=margin), SIGNIFICANCE / max(1, open_count))
        for test, p in zip(tests, adjusted, strict=True)
    ]


def _judged(test: PairedTest, level: float) -> PairedTest:
    if -test.margin <= test.interval.low and test.interval.high <= test.margin:
        return replace(test, verdict="practically the same")
    if test.adjusted_p_value < SIGNIFICANCE:
        return replace(test, verdict="better" if test.difference > 0 else "worse")
    now = test.variation

    def enough(images: int, seeds: int) -> bool:
        return _chance_of_verdict(test, now.scaled(images, seeds), level) >= POWER

    def together(seeds: int) -> int:
        return round(now.images * seeds / now.seeds)

    images = _first(range(now.images + 1, MOST_IMAGES + 1), lambda images: enough(images, 0))
    more_seeds = range(now.seeds + 1, MOST_SEEDS + 1) if now.training else range(0)
    seeds = _first(more_seeds, lambda seeds: enough(now.images, seeds))
    is_both = images is None and seeds is None
    if is_both:
        seeds = _first(more_seeds, lambda seeds: enough(together(seeds), seeds))
        images = together(seeds) if seeds is not None else None
    return replace(
        test,
        verdict="cannot tell",
        images_to_settle=images,
        seeds_to_settle=seeds,
        settled_together=is_both and seeds is not None,
    )


def _first(numbers: range, is_enough: Callable[[int], bool]) -> int | None:
    """Return the first of rising numbers that is enough; None where not even the last is."""
    position = bisect_left(numbers, True, key=is_enough)
    return numbers[position] if position < len(numbers) else None


def _chance_of_verdict(test: PairedTest, variation: Variation, level: float) -> float:
    """Return the chance that a difference estimated with this variation is judged one way or the other."""
    # No verdict comes of an estimate whose absolute value lies between these two.
    low = max(0.0, test.margin - variation.half_width(CONFIDENCE))
    high = variation.half_width(1 - level)
    if low >= high:
        return 1.0

    def below(estimate: float) -> float:
        standardised = (estimate - abs(test.difference)) / variation.standard_error
        return float(stdtr(variation.degrees_of_freedom, standardised))

    return 1 - (below(high) - below(low)) - (below(-low) - below(-high))


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


@dataclass(frozen=True)
class _Fits:
    """The summary of one model's fits for `paired_test`.

    `image_means` is the share of fits that classify each image correctly, (n,); `seeds` is None where all
    fits agree.
    """

    image_means: NDArray[np.float64]
    count: int
    seeds: SeedVariation | None


def _summarise(correct: ArrayLike) -> _Fits:
    right = np.atleast_2d(np.asarray(correct, dtype=bool))
    count, n = right.shape
    if not right.size:
        raise DataError(f"An array of shape {right.shape} has no results: expected (seeds, images).")
    image_means = right.mean(axis=0)
    if (right == right[0]).all():
        return _Fits(image_means, count, None)
    # In integers, `size` times the sums of squares, as rounding would leave a variance where there is none.
    size, total = count * n, int(right.sum())
    image_sum = n * int(np.square(right.sum(axis=0)).sum()) - total**2
    seed_sum = count * int(np.square(right.sum(axis=1)).sum()) - total**2
    residual_sum = size * total - total**2 - image_sum - seed_sum
    beyond = seed_sum * max(1, n - 1) - residual_sum
    seeds = SeedVariation(
        count,
        variance=max(0, beyond) / (size**2 * (count - 1) * max(1, n - 1)),
        square=seed_sum / (size**2 * (count - 1)),
    )
    return _Fits(image_means, count, seeds)


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
    variation = Variation(
        n,
        sampling=((float(differences @ differences) + 1) / (n + 2) - centre**2) / (n + 2),
        training=tuple(fits.seeds for fits in (a, b) if fits.seeds is not None),
    )
    half = variation.half_width(CONFIDENCE)
    exact = not variation.training
    p_value = (
        mcnemar(round(only_a), round(only_b))
        if exact
        else 2 * float(stdtr(variation.degrees_of_freedom, -abs(centre) / variation.standard_error))
    )
    return PairedTest(
        model_a=model_a,
        model_b=model_b,
        difference=total / n,
        interval=Interval(max(-1.0, centre - half), min(1.0, centre + half)),
        p_value=p_value,
        method="exact McNemar" if exact else "variance components",
        only_a=only_a,
        only_b=only_b,
        variation=variation,
        training_covered=a.count > 1 and b.count > 1,
        adjusted_p_value=p_value,
    )


def tie_groups(ranking: Sequence[str], tests: Sequence[PairedTest]) -> list[TieGroup]:
    """Return the groups of tied models, none of which is better than another: a compact letter display.

    Two models share a group with `is_same` exactly if they are practically the same; they share only groups
    without it exactly if the test cannot tell. No further model could join a group. So groups
    overlap where a ties with b and b with c but not a with c, and a model that ties with none is in none.
    Each pair, best first, that does not share a group yet starts one, which every model that ties with all
    its members then joins, best first. H.-P. Piepho, "An algorithm for a letter-based representation
    of all-pairwise comparisons", Journal of Computational and Graphical Statistics 13 (2004), describes the
    display.

    Args:
        ranking: the models, best first.
        tests: from `paired_tests`, for every pair of them.

    Returns:
        The groups, best first, each in the order of the ranking.
    """
    verdicts = {frozenset((test.model_a, test.model_b)): test.verdict for test in tests}
    same = _cliques(
        ranking, {pair for pair, verdict in verdicts.items() if verdict == "practically the same"}
    )
    tied = _cliques(
        ranking, {pair for pair, verdict in verdicts.items() if verdict not in ("better", "worse")}
    )
    groups = [TieGroup(models, is_same=True) for models in same]
    groups += [TieGroup(models, is_same=False) for models in tied if models not in same]
    return sorted(groups, key=lambda group: [ranking.index(model) for model in group.models])


def _cliques(ranking: Sequence[str], pairs: AbstractSet[frozenset[str]]) -> list[tuple[str, ...]]:
    """Cover the pairs by sets of models, every two of which are one of the pairs; none could be larger."""
    groups: list[tuple[str, ...]] = []
    for pair in combinations(ranking, 2):
        if frozenset(pair) not in pairs or any(set(pair) <= set(group) for group in groups):
            continue
        members = set(pair)
        for model in ranking:
            if all(frozenset((model, member)) in pairs for member in members - {model}):
                members.add(model)
        groups.append(tuple(model for model in ranking if model in members))
    return groups


def _normal_quantile(probability: float) -> float:
    return float(ndtri(probability))


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return the quantile of Student's t distribution; the degrees of freedom may be fractional."""
    return float(stdtrit(degrees_of_freedom, probability))
