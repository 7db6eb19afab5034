"""Average ranks of models over several data sets, and how far apart they must be.

J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from mnistbench.stats.accuracy import CONFIDENCE

LEAST_DATASETS = 5
"""Below this the chi-squared distribution of Friedman's statistic is a poor approximation (section 3.2.2)."""


@dataclass(frozen=True)
class Ranks:
    """Average ranks, 1 for the most accurate model, which shares a rank with its equals."""

    models: tuple[str, ...]  # best first
    means: tuple[float, ...]  # the average rank of each
    dataset_count: int  # number of data sets
    p_value: float  # that all models are equally good: Friedman's test, as Iman and Davenport corrected it
    critical_difference: float  # two average ranks further apart differ significantly at 5 % (Nemenyi's test)

    @property
    def cliques(self) -> Sequence[tuple[int, int]]:
        """The first and the last of each longest row of models that do not differ significantly."""
        found: list[tuple[int, int]] = []
        for first, mean in enumerate(self.means):
            last = sum(other <= mean + self.critical_difference for other in self.means) - 1
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def average_ranks(accuracies: Mapping[str, Sequence[float]]) -> Ranks:
    """Rank models on each data set by the accuracies given for it, and average.

    At least two models, and two data sets in the same order for each.
    """
    from scipy.stats import f, rankdata, studentized_range  # slow to load, and seldom needed

    values = np.array(list(accuracies.values()), dtype=np.float64)
    models, datasets = values.shape
    ranks = rankdata(-values, axis=0)
    means = ranks.mean(axis=1)
    # Iman and Davenport's F as a ratio of mean squares of the ranks, which holds where some are shared, too.
    between = datasets * ((means - (models + 1) / 2) ** 2).sum()
    within = ((ranks - (models + 1) / 2) ** 2).sum() - between
    if between < 1e-9:
        p_value = 1.0
    elif within < 1e-9:
        p_value = 0.0
    else:
        statistic = (datasets - 1) * between / within
        p_value = float(f.sf(statistic, models - 1, (models - 1) * (datasets - 1)))
    quantile = float(studentized_range.isf(1 - CONFIDENCE, models, inf)) / sqrt(2)
    order = np.argsort(means, kind="stable")
    names = list(accuracies)
    return Ranks(
        models=tuple(names[index] for index in order),
        means=tuple(means[order].tolist()),
        dataset_count=datasets,
        p_value=p_value,
        critical_difference=quantile * sqrt(models * (models + 1) / (6 * datasets)),
    )
