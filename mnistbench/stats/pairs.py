"""Paired tests: whether two models that were tested on the same images are equally accurate."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, stdtr

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import CONFIDENCE, Interval, t_quantile
from mnistbench.stats.scores import MARGIN

Verdict = Literal["better", "worse", "practically the same", "cannot tell"]
"""How the first model of a pair compares with the second; see `verdicts.judged`."""


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
    """How two models compare in accuracy on the same test images; see `paired_test` and `verdicts.judged`.

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
        verdict: on a, compared with b; "cannot tell" until they are judged.
        images_to_settle: where the verdict is "cannot tell", about how many test images would settle it in
            80 % of cases if difference and variation are as they now seem; None where no number up to
            `verdicts.MOST_IMAGES` would.
        seeds_to_settle: the same for seeds of each model, up to `verdicts.MOST_SEEDS`; None too without
            several seeds.
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


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided exact p-value of equal accuracy, from the images that only one fit gets right.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), with the exact binomial distribution instead of the approximation.
    """
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


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
    """Test all pairs of models by `paired_test`, in the mapping's order.

    Args:
        correct: for each model bool (seeds, n), or (n,) for one fit; the same images in the same order.

    Raises:
        DataError: the numbers of test images differ, or are 0.
    """
    fits = {model: _summarise(right) for model, right in correct.items()}
    return [_paired_test(a, fits[a], b, fits[b]) for a, b in combinations(fits, 2)]


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
