"""Intervals of an accuracy agree with independent implementations and cover what they promise."""

import statistics

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import accuracy_estimate, difference_interval, t_interval, wilson_interval


@given(st.integers(1, 100_000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_wilson_interval_equals_statsmodels(count, share, confidence):
    successes = round(share * count)
    low, high = proportion_confint(successes, count, alpha=1 - confidence, method="wilson")
    interval = wilson_interval(successes, count, confidence)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert 0 <= interval.low <= successes / count <= interval.high <= 1


@pytest.mark.parametrize("count", [100, 1000, 10_000])
def test_the_wilson_interval_covers_the_true_accuracy(count):
    """Coverage is summed exactly over all outcomes, for accuracies from 90 % to 99.7 %."""
    outcomes = np.arange(count + 1)
    intervals = [wilson_interval(each, count) for each in outcomes.tolist()]
    low, high = np.array([(each.low, each.high) for each in intervals]).T
    accuracies = np.linspace(0.9, 0.997, 60)
    coverage = [scipy.stats.binom.pmf(outcomes, count, p)[(low <= p) & (p <= high)].sum() for p in accuracies]
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.015)
    assert min(coverage) > 0.88


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.sampled_from([0.9, 0.95]))
def test_the_t_interval_equals_scipy(values, confidence):
    interval = t_interval(values, confidence)
    scale = scipy.stats.sem(values)
    if scale > 1e-9:
        expected = scipy.stats.t.interval(confidence, len(values) - 1, np.mean(values), scale)
        assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-7, abs=1e-7)
    else:
        assert (interval.low, interval.high) == pytest.approx((values[0], values[0]), abs=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_t_interval_covers_the_mean(seeds):
    rng = np.random.default_rng(1)
    intervals = [t_interval(sample) for sample in rng.normal(0.97, 0.002, (4000, seeds)).tolist()]
    assert np.mean([each.low <= 0.97 <= each.high for each in intervals]) == pytest.approx(0.95, abs=0.015)


def test_a_single_fit_shows_sampling_and_is_silent_about_training():
    estimate = accuracy_estimate([300], 10_000)
    assert estimate.mean == 0.97
    assert estimate.sampling == wilson_interval(9700, 10_000)
    assert (estimate.training, estimate.training_sd) == (None, None)


def test_several_seeds_show_both_sources_apart():
    estimate = accuracy_estimate([300, 310, 290], 10_000)
    accuracies = [0.97, 0.969, 0.971]
    assert (estimate.fits, estimate.mean) == (3, pytest.approx(0.97))
    assert estimate.training_sd == pytest.approx(statistics.stdev(accuracies))
    assert estimate.training == t_interval(accuracies)
    # More seeds narrow what training adds; only more test images narrow the sampling.
    assert estimate.sampling == wilson_interval(9700, 10_000)
    assert accuracy_estimate([300, 310, 290] * 4, 10_000).sampling == estimate.sampling


def test_an_interval_of_accuracies_stays_between_0_and_1():
    estimate = accuracy_estimate([0, 1], 100)
    assert estimate.training.high == 1.0
    assert accuracy_estimate([0], 100).sampling.high == 1.0
    assert accuracy_estimate([100], 100).sampling.low == 0.0


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: wilson_interval(3, 2),
        lambda: wilson_interval(-1, 2),
        lambda: wilson_interval(0, 0),
        lambda: t_interval([1.0]),
        lambda: accuracy_estimate([], 100),
        lambda: accuracy_estimate([101], 100),
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(DataError):
        nonsense()


@pytest.mark.parametrize("seed_sd", [0.0, 0.004])
def test_the_interval_without_pairing_covers_the_difference_of_unrelated_models(seed_sd):
    rng = np.random.default_rng(16)
    n, seeds, covered = 2000, 3, 0
    for _ in range(1000):
        estimates = [
            accuracy_estimate(rng.binomial(n, 1 - rng.normal(mean, seed_sd, seeds)).tolist(), n)
            for mean in (0.95, 0.97)
        ]
        interval = difference_interval(*estimates)
        covered += interval.low <= -0.02 <= interval.high
    assert covered / 1000 >= 0.94


def test_the_interval_without_pairing_is_newcombes():
    """His example (b) of 1998: 9 of 10 against 3 of 10, method 10."""
    interval = difference_interval(accuracy_estimate([1], 10), accuracy_estimate([7], 10))
    assert (interval.low, interval.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)
