"""Paired tests: whether two models that were tested on the same images are equally accurate."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, stdtr

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import CONFIDENCE, Interval, t_quantile
from mnistbench.stats.groups import Groups, Integers, design_effect, sum_of_squares
from mnistbench.stats.scores import MARGIN

Verdict = Literal["better", "worse", "practically the same", "cannot tell"]
"""How the first model of a pair compares with the second; see `verdicts.judged`."""

Method = Literal["exact McNemar", "exact sign flips", "variance components"]


@dataclass(frozen=True)
class SeedVariation:
    """How the mean accuracy of one model varies with its seeds."""

    count: int  # number of seeds, at least 2
    variance: float  # of the mean over the seeds, as far as it comes from the seeds
    square: float  # the same before the residual mean square is subtracted


@dataclass(frozen=True)
class Variation:
    """Where the variance of the difference of two models comes from; see `paired_test`."""

    images: int  # number of test images
    groups: int  # number of groups that they come in; as many where they are independent
    sampling: float  # variance from the choice of these images
    training: tuple[SeedVariation, ...]  # variation from the seeds, of each model that varies with them

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
        uncertainty = self.sampling**2 / max(1, self.groups - 1)
        uncertainty += sum(each.square**2 / (each.count - 1) for each in self.training)
        # Subtracting residuals can hide how uncertain a part is.
        least = min([self.groups - 1, *(each.count - 1 for each in self.training)])
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
            max(1, round(self.groups / share)),
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
    """How two models compare in accuracy on the same test images; see `paired_test` and `verdicts.judged`."""

    model_a: str
    model_b: str
    difference: float  # accuracy of a less accuracy of b
    interval: Interval  # 95 %, of the difference
    p_value: float  # two-sided, for the hypothesis that both are equally accurate
    method: Method  # how the p-value was computed
    only_a: float  # images that only a classifies correctly; the mean over all pairs of fits
    only_b: float
    variation: Variation  # where the variance of the difference comes from
    training_covered: bool  # whether both have several seeds: the test is of the models, not of these fits
    adjusted_p_value: float  # after Holm's correction for all pairs tested together
    margin: float = MARGIN  # difference up to which the two are practically the same
    verdict: Verdict = "cannot tell"  # on a, compared with b; "cannot tell" until they are judged
    # Where the verdict is "cannot tell", about how many test images would settle it in 80 % of cases if
    # difference and variation are as they now seem; None where no number up to `verdicts.MOST_IMAGES` would.
    images_to_settle: int | None = None
    # The same for seeds of each model, up to `verdicts.MOST_SEEDS`; None too without several seeds.
    seeds_to_settle: int | None = None
    settled_together: bool = False  # whether it takes both numbers; otherwise either is enough

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


def sign_flips(differences: ArrayLike) -> float:
    """Return the two-sided exact p-value of equal accuracy, from differences in correct images, (groups,).

    If both models are equally accurate on groups like these, each group's difference might as well have the
    other sign. The p-value is the share of all 2^groups choices of signs whose sum is as far from 0; their
    distribution is built up size by size, so nothing is drawn at random. With a single image in each group
    it is the exact form of McNemar's test.

    Sources: R. A. Fisher, "The Design of Experiments" (1935), section 21. Q. McNemar, "Note on the sampling
    error of the difference between correlated proportions or percentages", Psychometrika 12 (1947).
    """
    given = np.asarray(differences, dtype=np.int64)
    sizes, counts = np.unique(np.abs(given[given != 0]), return_counts=True)
    chances = np.ones(1)  # of each sum of the differences that are flipped to be positive
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        flipped = np.arange(count + 1)
        binomial = np.zeros(size * count + 1)
        binomial[::size] = np.exp(-betaln(flipped + 1, count - flipped + 1) - log(count + 1) - count * log(2))
        chances = np.convolve(chances, binomial)
    # The sum with signs is twice that of the positive ones less that of all.
    least = (len(chances) - 1 - abs(int(given.sum()))) // 2
    return min(1.0, 2 * float(chances[: least + 1].sum()))


def paired_test(
    model_a: str, correct_a: ArrayLike, model_b: str, correct_b: ArrayLike, ids: ArrayLike | None = None
) -> PairedTest:
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

    Where the images come in groups, whose images are not independent, all of this is by group: `sign_flips`
    take the place of McNemar's test, var(d_i) / n is multiplied by its design effect and has one degree of
    freedom less than there are groups, and the residual mean square is that of the groups' sums. Simulated
    with the writers of MNIST's test set, 1.2 % or 7.4 % of errors and 1 to 3 seeds, a 5 % test rejects a true
    hypothesis in 3 % to 6 % of cases, and up to 20 % if the images are taken as independent.

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
        ids: the group of each image, (n,); each is its own group if None.

    Raises:
        DataError: the numbers of test images differ, or are 0.
    """
    return _paired_test(model_a, _summarise(correct_a, ids), model_b, _summarise(correct_b, ids))


def paired_tests(correct: Mapping[str, ArrayLike], ids: ArrayLike | None = None) -> list[PairedTest]:
    """Test all pairs of models by `paired_test`, which says what it takes, in the mapping's order."""
    fits = {model: _summarise(right, ids) for model, right in correct.items()}
    return [_paired_test(a, fits[a], b, fits[b]) for a, b in combinations(fits, 2)]


@dataclass(frozen=True)
class _Fits:
    """The summary of one model's fits for `paired_test`.

    `hits` is the number of fits that classify each image correctly, (n,); `seeds` is None where all fits
    agree.
    """

    hits: Integers
    count: int
    groups: Groups
    seeds: SeedVariation | None


def _summarise(correct: ArrayLike, ids: ArrayLike | None) -> _Fits:
    right = np.atleast_2d(np.asarray(correct, dtype=np.bool_)).astype(np.int64)
    count, n = right.shape
    if not right.size:
        raise DataError(f"An array of shape {right.shape} has no results: expected (seeds, images).")
    groups = Groups.of(ids, n)
    agree = bool((right == right[0]).all())
    return _Fits(right.sum(axis=0), count, groups, None if agree else _seed_variation(right, groups))


def _seed_variation(right: Integers, groups: Groups) -> SeedVariation:
    count, n = right.shape
    size, free = right.size, max(1, groups.count - 1)
    # In integers, with the factors that make them so, as rounding would leave a variance where there is none.
    seed_sum = count * sum_of_squares(right.sum(axis=1)) - int(right.sum()) ** 2
    centred = groups.centred_sums(right)
    residual_sum = sum_of_squares(count * centred - centred.sum(axis=0))
    beyond = seed_sum * free * n * size - residual_sum * groups.count
    return SeedVariation(
        count,
        variance=max(0, beyond) / (size**3 * n * (count - 1) * free),
        square=seed_sum / (size**2 * (count - 1)),
    )


def _paired_test(model_a: str, a: _Fits, model_b: str, b: _Fits) -> PairedTest:
    n = len(a.hits)
    if len(b.hits) != n:
        raise DataError(
            f"{model_a} was tested on {n} images and {model_b} on {len(b.hits)}: "
            "only predictions for the same images can be paired."
        )
    share_a, share_b = a.hits / a.count, b.hits / b.count
    differences = share_a - share_b
    total = float(differences.sum())
    only_a = float((share_a * (1 - share_b)).sum())
    only_b = float((share_b * (1 - share_a)).sum())
    scaled = b.count * a.hits - a.count * b.hits
    effect = design_effect(scaled[None], a.groups)
    padded = n + 2 * effect
    centre = total / padded
    variation = Variation(
        n,
        a.groups.count,
        sampling=((float(differences @ differences) + effect) / padded - centre**2) * effect / padded,
        training=tuple(fits.seeds for fits in (a, b) if fits.seeds is not None),
    )
    half = variation.half_width(CONFIDENCE)
    method: Method
    if variation.training:
        method = "variance components"
        p_value = 2 * float(stdtr(variation.degrees_of_freedom, -abs(centre) / variation.standard_error))
    else:
        method = "exact McNemar" if a.groups.count == n else "exact sign flips"
        p_value = sign_flips(a.groups.sums(scaled[None] // (a.count * b.count))[0])
    return PairedTest(
        model_a=model_a,
        model_b=model_b,
        difference=total / n,
        interval=Interval(max(-1.0, centre - half), min(1.0, centre + half)),
        p_value=p_value,
        method=method,
        only_a=only_a,
        only_b=only_b,
        variation=variation,
        training_covered=a.count > 1 and b.count > 1,
        adjusted_p_value=p_value,
    )
