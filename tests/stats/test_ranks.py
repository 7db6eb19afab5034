"""Average ranks and Friedman's test are SciPy's, the critical difference is that of Demsar's paper."""

import numpy as np
import pytest
from scipy.stats import f, friedmanchisquare, rankdata

from mnistbench.stats.ranks import average_ranks


# Table 5(a) of the paper.
@pytest.mark.parametrize(("models", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_quantiles_of_the_paper(models, quantile):
    accuracies = {str(model): np.random.default_rng(model).random(6) for model in range(models)}
    expected = quantile * (models * (models + 1) / 36) ** 0.5
    assert average_ranks(accuracies).critical_difference == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_test_is_friedmans_with_ties_and_davenports_correction(seed):
    values = np.round(np.random.default_rng(seed).random((4, 7)), 1)  # some are equal
    ranks = average_ranks(dict(zip("abcd", values, strict=True)))
    statistic = friedmanchisquare(*values).statistic
    corrected = 6 * statistic / (7 * 3 - statistic)
    assert ranks.p_value == pytest.approx(f.sf(corrected, 3, 18))
    means = dict(zip("abcd", rankdata(-values, axis=0).mean(axis=1), strict=True))
    assert dict(zip(ranks.models, ranks.means, strict=True)) == pytest.approx(means)
    assert list(ranks.means) == sorted(ranks.means)


def test_models_that_always_or_never_differ_have_a_p_value():
    assert average_ranks({"a": [0.9] * 5, "b": [0.9] * 5}).p_value == 1
    ranks = average_ranks({"a": [0.9] * 5, "b": [0.8] * 5})
    assert (ranks.p_value, ranks.means) == (0, (1, 2))


def test_cliques_are_the_longest_rows_without_a_significant_difference():
    levels = {"a": 0.9, "b": 0.89, "c": 0.5, "d": 0.1}
    ranks = average_ranks({name: [level] * 8 for name, level in levels.items()})
    assert 1 < ranks.critical_difference < 2  # neighbours are one rank apart
    assert list(ranks.cliques) == [(0, 1), (1, 2), (2, 3)]
