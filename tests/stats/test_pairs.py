"""Paired tests agree with independent implementations and keep their level."""

from math import sqrt
from random import Random

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar

from mnistbench.errors import DataError
from mnistbench.stats.pairs import paired_test, sign_flips


@pytest.mark.parametrize(("a", "b"), [([True], [True, False]), ([], [])])
def test_results_on_other_images_or_none_are_refused(a, b):
    with pytest.raises(DataError):
        paired_test("a", a, "b", b)


@given(st.integers(0, 500), st.integers(0, 500))
def test_sign_flips_of_single_images_equal_statsmodels_and_the_binomial_test(only_a, only_b):
    p_value = sign_flips([1] * only_a + [-1] * only_b)
    assert p_value == pytest.approx(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue, rel=1e-9)
    if only_a + only_b:
        assert p_value == pytest.approx(scipy.stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


@st.composite
def results(draw, models=2, most_seeds=4):
    """Right or wrong for each of some models: bool (seeds, n), every model on the same n images."""
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    accuracy = draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))
    return [rng.random((draw(st.integers(1, most_seeds)), n)) < accuracy for _ in range(models)]


@given(results(most_seeds=1))
def test_single_fits_are_compared_by_the_exact_mcnemar_test(pair):
    a, b = pair
    test = paired_test("a", a, "b", b[0])  # one fit may also come without the axis of seeds
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert (test.method, test.training_covered) == ("exact McNemar", False)
    assert (test.only_a, test.only_b) == (only_a, only_b)
    assert test.p_value == pytest.approx(sign_flips([1] * only_a + [-1] * only_b))
    assert test.difference == pytest.approx(a.mean() - b.mean())
    assert test.training_se == 0


@given(results())
def test_exchanging_the_models_changes_the_sign_only(pair):
    a, b = pair
    there, back = paired_test("a", a, "b", b), paired_test("b", b, "a", a)
    assert there.p_value == pytest.approx(back.p_value)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.interval.low, there.interval.high) == pytest.approx(
        (-back.interval.high, -back.interval.low)
    )
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)


@example(
    [np.array([[0, 1, 1, 1, 0]], dtype=bool), np.array([[0, 0, 1, 1, 0], [0, 0, 1, 0, 0]], dtype=bool)],
    Random(0),
)
@given(results(), st.randoms(use_true_random=False))
def test_the_order_of_images_and_seeds_plays_no_part(pair, random):
    a, b = pair
    order = list(range(a.shape[1]))
    random.shuffle(order)
    before, after = paired_test("a", a, "b", b), paired_test("a", a[::-1, order], "b", b[:, order])
    assert after.p_value == pytest.approx(before.p_value)
    assert after.sampling_se == pytest.approx(before.sampling_se)
    assert after.training_se == pytest.approx(before.training_se)


@given(results())
def test_every_paired_test_is_a_valid_one(pair):
    a, b = pair
    test = paired_test("a", a, "b", b)
    assert 0 <= test.p_value <= 1
    assert -1 <= test.interval.low <= test.interval.high <= 1
    assert test.sampling_se > 0
    assert test.difference * a.shape[1] == pytest.approx(test.only_a - test.only_b, abs=1e-9)


def test_models_without_randomness_are_compared_by_mcnemar_however_many_seeds_they_ran():
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 500)) < 0.9
    once = paired_test("a", a, "b", b)
    thrice = paired_test("a", np.tile(a, (3, 1)), "b", np.tile(b, (3, 1)))
    assert (thrice.method, thrice.p_value, thrice.interval) == ("exact McNemar", once.p_value, once.interval)
    assert thrice.training_covered
    assert not once.training_covered


def test_one_fit_beside_several_leaves_training_uncovered():
    rng = np.random.default_rng(2)
    once, thrice = rng.random((1, 500)) < 0.9, rng.random((3, 500)) < 0.9
    for test in (paired_test("a", once, "b", thrice), paired_test("a", thrice, "b", once)):
        assert (test.method, test.training_covered) == ("variance components", False)
    assert paired_test("a", thrice, "b", thrice[:2]).training_covered


def test_the_interval_of_single_fits_is_that_of_agresti_and_min():
    """Their formula, from the four counts with one half added to each."""
    a = np.repeat([True, True, False, False], [900, 40, 25, 35])
    b = np.repeat([True, False, True, False], [900, 40, 25, 35])
    n, only_a, only_b = 1002, 40.5, 25.5
    centre = (only_a - only_b) / n
    half = 1.959964 * sqrt((only_a + only_b) - (only_a - only_b) ** 2 / n) / n
    interval = paired_test("a", a, "b", b).interval
    # The t quantile with 999 degrees of freedom is 0.12 % above the normal one.
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=0.002 * half)


def test_the_training_variance_is_that_of_a_two_way_analysis_of_variance():
    rng = np.random.default_rng(3)
    n, seeds = 60, 4
    right = rng.random((seeds, n)) < np.array([[0.5], [0.7], [0.8], [0.9]])
    rows = [(int(right[s, i]), s, i) for s in range(seeds) for i in range(n)]
    table = anova_lm(
        ols("right ~ C(seed) + C(image)", pd.DataFrame(rows, columns=["right", "seed", "image"])).fit()
    )
    squares = table["mean_sq"]
    expected = (squares["C(seed)"] - squares["Residual"]) / n / seeds
    test = paired_test("a", right, "b", np.ones((2, n), dtype=bool))
    assert test.training_se**2 == pytest.approx(expected)
    d = right.mean(axis=0) - 1
    assert test.sampling_se**2 == pytest.approx(
        (((d**2).sum() + 1) / (n + 2) - (d.sum() / (n + 2)) ** 2) / (n + 2)
    )


def simulated_fits(rng, seeds, ease, own_sd, seed_sd, luck_sd):
    """Fits whose accuracy depends on image, model and seed, and on the luck of each seed with each image."""
    margin = ease + own_sd * rng.standard_normal(len(ease))
    margin = margin + seed_sd * rng.standard_normal((seeds, 1))
    return margin + luck_sd * rng.standard_normal((seeds, len(ease))) > 0


def false_alarms(n, seeds_a, seeds_b, seed_sd, luck_sd, repetitions, advantage=0.0):
    """Share of simulated pairs, equally accurate but for `advantage`, that a 5 % test calls different."""
    rng = np.random.default_rng(n + 10 * seeds_a + seeds_b)
    alarms = 0
    for _ in range(repetitions):
        ease = 2.2 + rng.standard_normal(n)
        a = simulated_fits(rng, seeds_a, ease, 0.4, seed_sd, luck_sd)
        b = simulated_fits(rng, seeds_b, ease + advantage, 0.4, seed_sd, luck_sd)
        alarms += paired_test("a", a, "b", b).p_value < 0.05
    return alarms / repetitions


@pytest.mark.parametrize(
    ("seeds", "seed_sd", "luck_sd"),
    [
        *((1, 0, 0.3), (3, 0.1, 0.3)),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((2, 0.1, 0.3), (3, 0, 0.3), (5, 0.3, 0.1))
        ),
    ],
)
def test_equally_accurate_models_are_called_different_in_one_case_of_twenty(seeds, seed_sd, luck_sd):
    assert 0.01 <= false_alarms(2000, seeds, seeds, seed_sd, luck_sd, 800) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("seed_sd", [0, 0.05, 0.15])
@pytest.mark.parametrize("luck_sd", [0.1, 0.5])
def test_false_alarms_stay_near_five_per_cent_whatever_makes_the_models_vary(seeds, seed_sd, luck_sd):
    assert 0.005 <= false_alarms(10_000, seeds, seeds, seed_sd, luck_sd, 600) <= 0.085


@pytest.mark.slow
@pytest.mark.parametrize("luck_sd", [0.1, 0.5])
def test_one_fit_beside_several_keeps_its_level_where_seeds_hardly_matter(luck_sd):
    assert 0.01 <= false_alarms(5000, 4, 1, 0, luck_sd, 1000) <= 0.075


def test_a_real_difference_is_found():
    assert false_alarms(2000, 3, 3, 0.02, 0.3, 200, advantage=0.3) > 0.9


def test_pretending_that_several_seeds_are_several_test_sets_would_raise_false_alarms():
    """The reason for variance components: one McNemar test of all fits together takes seeds for images."""
    rng = np.random.default_rng(7)
    pooled = honest = 0
    for _ in range(300):
        ease = 2.2 + rng.standard_normal(2000)
        a = simulated_fits(rng, 3, ease, 0.4, 0.1, 0.3)
        b = simulated_fits(rng, 3, ease, 0.4, 0.1, 0.3)
        pooled += sign_flips((a.astype(int) - b).ravel()) < 0.05
        honest += paired_test("a", a, "b", b).p_value < 0.05
    assert pooled / 300 > 0.2
    assert honest / 300 < 0.09


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 0.1)])
def test_the_interval_of_the_difference_covers_it(seeds, seed_sd):
    rng = np.random.default_rng(8)
    own, luck, advantage, repetitions = 0.4, 0.3, 0.15, 800
    spread = sqrt(1 + own**2 + seed_sd**2 + luck**2)
    truth = scipy.stats.norm.cdf(2.2 / spread) - scipy.stats.norm.cdf((2.2 + advantage) / spread)
    covered = 0
    for _ in range(repetitions):
        ease = 2.2 + rng.standard_normal(2000)
        a = simulated_fits(rng, seeds, ease, own, seed_sd, luck)
        b = simulated_fits(rng, seeds, ease + advantage, own, seed_sd, luck)
        interval = paired_test("a", a, "b", b).interval
        covered += interval.low <= truth <= interval.high
    assert 0.925 <= covered / repetitions <= 0.99


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_two_models_that_answer_alike_differ_by_little_however_few_their_seeds(seeds):
    right = np.random.default_rng(3).random((seeds, 2000)) > 0.02
    test = paired_test("a", right, "b", right)
    assert test.difference == 0
    assert test.p_value == pytest.approx(1)
    assert -0.1 < test.interval.low < 0 < test.interval.high < 0.1
