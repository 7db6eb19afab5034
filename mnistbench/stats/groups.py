"""Images that come in groups, such as those by one writer, are not independent of each other.

A model that fails on one image by a writer is likelier to fail on the writer's others, so n images tell less
about its accuracy than n independent ones would. More or fewer ids than images are a DataError.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistbench.errors import DataError

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Groups:
    """Which images belong together."""

    members: Integers  # the group of each image, numbered from 0, (n,)
    sizes: Integers  # images of each group, at least 1, (groups,)

    @classmethod
    def of(cls, ids: ArrayLike | None, image_count: int) -> "Groups":
        """Return the groups of images with these ids, (n,); each image is its own group if `ids` is None."""
        if ids is None:
            return cls(np.arange(image_count), np.ones(image_count, dtype=np.int64))
        given = np.asarray(ids)
        if given.shape != (image_count,):
            raise DataError(f"Groups of shape {given.shape} do not fit {image_count} images.")
        _, members, sizes = np.unique(given, return_inverse=True, return_counts=True)
        return cls(members, sizes)

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.sizes)

    def sums(self, values: NDArray[Any]) -> Integers:
        """Return the sum of integers (rows, n) over each group, int64 (rows, groups)."""
        # The sums are exact: float64 holds every integer up to 2**53.
        sums = [np.bincount(self.members, weights=row, minlength=self.count) for row in values]
        return np.array(sums).astype(np.int64)

    def centred_sums(self, values: NDArray[Any]) -> Integers:
        """Return n times the sum over each group of integers less their row's mean, int64 (rows, groups)."""
        totals = values.sum(axis=1, dtype=np.int64)
        return len(self.members) * self.sums(values) - np.outer(totals, self.sizes)


@dataclass(frozen=True)
class Clustering:
    """How far the images of a test set are from independent, for one model."""

    groups: int  # number of groups
    design_effect: float  # variance of the accuracy, over that of independent images; at least 1


def clustering(correct: ArrayLike, ids: ArrayLike) -> Clustering:
    """Return how far images in groups are from independent, given which of them a model's fits got right.

    `correct` is bool (seeds, n), or (n,) for one fit; `ids` says the group of each image, (n,).
    """
    right = np.atleast_2d(np.asarray(correct, dtype=bool))
    groups = Groups.of(ids, right.shape[1])
    return Clustering(groups.count, design_effect(right.astype(np.int64), groups))


def design_effect(values: Integers, groups: Groups) -> float:
    """Return how many times as large the variance of a mean is as it would be without groups, at least 1.

    The variance with groups is the cluster-robust one, G / (G - 1) times the sum over the G groups of the
    squared sums of deviations from the mean, over n squared; that without is the sample variance over n. It
    is 1 where each image is its own group, and for values that do not vary. A single group is worth a single
    image. L. Kish, "Survey Sampling" (1965), section 8.2.

    The values are integers (rows, n); their variances are means over the rows.
    """
    n = len(groups.members)
    if groups.count == n:
        return 1.0
    if groups.count == 1:
        return float(n)
    totals = values.sum(axis=1)
    without = n * sum_of_squares(values) - sum_of_squares(totals)
    if without == 0:
        return 1.0
    between = sum_of_squares(groups.centred_sums(values))
    return max(1.0, groups.count * (n - 1) * between / ((groups.count - 1) * n**2 * without))


def sum_of_squares(values: Integers) -> int:
    """Return the sum of the squares, exact however large it is."""
    return int(np.square(values.astype(object)).sum())
