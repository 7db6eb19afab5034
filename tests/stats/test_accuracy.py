"""Statistics agree with independent implementations, and intervals and tests keep their promises."""

import statistics
from dataclasses import FrozenInstanceError, replace
from itertools import combinations
from math import sqrt
from random import Random

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import (
    TieGroup,
    accuracy_estimate,
    difference_interval,
    holm,
    judged,
    mcnemar,
    paired_test,
    paired_tests,
    t_interval,
    tie_groups,
    wilson_interval,
)

seconds = st.floats(1e-4, 1e4)


# One model's accuracy


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
        lambda: paired_test("a", [True], "b", [True, False]),
        lambda: paired_test("a", [], "b", []),
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(DataError):
        nonsense()


# Pairs of models


@given(st.integers(0, 500), st.integers(0, 500))
def test_mcnemar_equals_statsmodels_and_the_binomial_test(only_a, only_b):
    p_value = mcnemar(only_a, only_b)
    assert p_value == pytest.approx(
        statsmodels_mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue, rel=1e-9
    )
    if only_a + only_b:
        assert p_value == pytest.approx(scipy.stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-9)


@pytest.mark.slow  # statsmodels takes its time
@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_of_no_test_is_nothing():
    assert holm([]).shape == (0,)


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
    assert test.p_value == mcnemar(only_a, only_b)
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
    ("seeds", "seed_sd", "luck_sd"), [(1, 0, 0.3), (2, 0.1, 0.3), (3, 0, 0.3), (3, 0.1, 0.3), (5, 0.3, 0.1)]
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
        pooled += mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) < 0.05
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


def test_all_pairs_are_tested_and_corrected_together():
    rng = np.random.default_rng(9)
    correct = {
        name: rng.random((2, 300)) < accuracy for name, accuracy in [("a", 0.9), ("b", 0.8), ("c", 0.85)]
    }
    tests = paired_tests(correct)
    assert [(test.model_a, test.model_b) for test in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = [paired_test(a, correct[a], b, correct[b]).p_value for a, b in combinations(correct, 2)]
    assert [test.p_value for test in tests] == alone
    assert [test.adjusted_p_value for test in tests] == pytest.approx(
        multipletests(alone, method="holm")[1].tolist()
    )
    assert paired_tests({"alone": [True, False]}) == []
    with pytest.raises(FrozenInstanceError):
        tests[0].p_value = 0.0


# Verdicts


def one_fit_each(only_a, only_b, n):
    """Two single fits, of which each alone classifies so many of n images correctly."""
    a, b = np.ones((2, n), dtype=bool)
    b[:only_a] = False
    a[only_a : only_a + only_b] = False
    return a, b


def verdict_on(a, b, margin=0.002):
    (test,) = judged([paired_test("a", a, "b", b)], margin)
    return test


@pytest.mark.parametrize(
    ("only_a", "only_b", "n", "margin", "verdict"),
    [
        (40, 10, 1000, 0.002, "better"),
        (10, 40, 1000, 0.002, "worse"),
        (8, 2, 500, 0.002, "cannot tell"),
        (5, 5, 500, 0.002, "cannot tell"),  # that no difference is seen shows nothing
        (5, 5, 500, 0.02, "practically the same"),
        (5, 5, 10_000, 0.002, "practically the same"),
        (30, 10, 10_000, 0.01, "practically the same"),  # significant, and of no account
        (0, 0, 500, 0.0, "cannot tell"),
    ],
)
def test_a_pair_is_better_or_practically_the_same_or_undecided(only_a, only_b, n, margin, verdict):
    test = verdict_on(*one_fit_each(only_a, only_b, n), margin)
    assert test.verdict == verdict
    inside = -margin <= test.interval.low and test.interval.high <= margin
    assert (verdict == "practically the same") == inside
    assert test.better == {"better": "a", "worse": "b"}.get(verdict)


def test_exchanging_the_models_exchanges_the_verdict():
    a, b = one_fit_each(40, 10, 1000)
    assert (verdict_on(a, b).verdict, verdict_on(b, a).verdict) == ("better", "worse")


def test_a_p_value_of_exactly_the_level_is_not_significant():
    test = replace(paired_test("a", *one_fit_each(40, 10, 1000)[:1], "b", one_fit_each(40, 10, 1000)[1]))
    assert judged([replace(test, p_value=0.0499)])[0].verdict == "better"
    assert judged([replace(test, p_value=0.05)])[0].verdict == "cannot tell"


def test_a_model_is_shown_not_to_be_worse_by_the_interval_alone():
    test = verdict_on(*one_fit_each(30, 30, 10_000), 0.002)
    assert (test.verdict, test.shows_not_worse("a"), test.shows_not_worse("b")) == (
        "practically the same", True, True,
    )  # fmt: skip
    test = verdict_on(*one_fit_each(20, 10, 10_000), 0.002)
    assert (test.verdict, test.shows_not_worse("a"), test.shows_not_worse("b")) == (
        "cannot tell",
        True,
        False,
    )
    test = verdict_on(*one_fit_each(8, 2, 500))
    assert not test.shows_not_worse("b")


def test_models_that_differ_by_the_margin_are_seldom_called_practically_the_same():
    """Of a true difference at the margin, at most 2.5 % of the intervals lie within it."""
    rng = np.random.default_rng(11)
    n, margin = 10_000, 0.005
    claims = 0
    for _ in range(2000):
        only_a, only_b, _ = rng.multinomial(n, [0.012, 0.007, 0.981])
        claims += verdict_on(*one_fit_each(only_a, only_b, n), margin).verdict == "practically the same"
    assert claims / 2000 < 0.035


@pytest.mark.parametrize(
    ("only_a", "only_b", "n", "margin"),
    [(12, 5, 1000, 0.002), (9, 9, 1000, 0.005), (8, 2, 500, 0.002), (10, 8, 1000, 0.003)],
)
def test_so_many_images_settle_it_in_four_cases_of_five(only_a, only_b, n, margin):
    test = verdict_on(*one_fit_each(only_a, only_b, n), margin)
    assert (test.verdict, test.seeds_to_settle, test.settled_together) == ("cannot tell", None, False)
    settled = {}
    rng = np.random.default_rng(12)
    for images in (test.images_to_settle, test.images_to_settle // 3):
        drawn = rng.multinomial(images, [only_a / n, only_b / n, 1 - (only_a + only_b) / n], size=400)
        tests = [verdict_on(*one_fit_each(a, b, images), margin) for a, b, _ in drawn]
        settled[images] = np.mean([each.verdict != "cannot tell" for each in tests])
    enough, third = settled.values()
    assert 0.72 <= enough <= 0.9
    assert third < enough - 0.15


def fits_around(rng, accuracies, n):
    return rng.random((len(accuracies), n)) < np.asarray(accuracies)[:, None]


def test_so_many_seeds_settle_it_in_four_cases_of_five():
    """Seeds that vary far more than images do: more images would not help."""
    rng = np.random.default_rng(13)
    n, sd, a, b = 20_000, 0.01, 0.95, 0.938
    pilot = [fits_around(rng, [mean - sd, mean, mean + sd], n) for mean in (a, b)]
    test = verdict_on(*pilot)
    assert (test.verdict, test.images_to_settle, test.settled_together) == ("cannot tell", None, False)
    seeds = test.seeds_to_settle
    assert 6 <= seeds <= 25
    fits = [[fits_around(rng, rng.normal(mean, sd, seeds), n) for mean in (a, b)] for _ in range(100)]
    assert 0.68 <= np.mean([verdict_on(*pair).verdict != "cannot tell" for pair in fits]) <= 0.95


def test_where_neither_is_enough_alone_it_takes_images_and_seeds_together():
    rng = np.random.default_rng(14)
    n, sd = 1000, 0.01
    pilot = [fits_around(rng, [mean - sd, mean, mean + sd], n) for mean in (0.9, 0.903)]
    test = verdict_on(*pilot)
    assert (test.verdict, test.settled_together) == ("cannot tell", True)
    assert test.images_to_settle > n
    assert test.seeds_to_settle > 3


def test_where_no_number_would_settle_it_none_is_given():
    test = verdict_on(*one_fit_each(5, 5, 500), margin=0.0)
    assert (test.verdict, test.images_to_settle, test.seeds_to_settle) == ("cannot tell", None, None)
    assert not test.settled_together


def test_more_pairs_need_more_images():
    rng = np.random.default_rng(15)
    correct = {f"m{i}": rng.random(1000) < 0.95 - i / 500 for i in range(5)}
    alone = verdict_on(correct["m0"], correct["m1"])
    among = paired_tests(correct)[0]
    assert (alone.verdict, among.verdict) == ("cannot tell", "cannot tell")
    assert among.images_to_settle > alone.images_to_settle


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


# Tie groups


def judged_as(*pairs):
    """Tests with these verdicts."""
    test = paired_test("a", [True, False], "b", [True, True])
    return [replace(test, model_a=a, model_b=b, verdict=verdict) for a, b, verdict in pairs]


def test_models_that_are_not_shown_to_differ_share_a_group():
    same, unclear = "practically the same", "cannot tell"
    tests = judged_as(
        ("a", "b", same), ("a", "c", "better"), ("b", "c", unclear),
        ("a", "d", "better"), ("b", "d", "better"), ("c", "d", "worse"),
    )  # fmt: skip
    assert tie_groups(["a", "b", "c", "d"], tests) == [
        TieGroup(("a", "b"), is_same=True),
        TieGroup(("b", "c"), is_same=False),
    ]


@given(st.integers(0, 8), st.data())
def test_tie_groups_hold_exactly_the_tied_pairs_and_say_how_they_tie(count, data):
    ranking = [f"m{i}" for i in range(count)]
    verdicts = {
        pair: data.draw(st.sampled_from(["better", "worse", "practically the same", "cannot tell"]))
        for pair in combinations(ranking, 2)
    }
    groups = tie_groups(ranking, judged_as(*[(*pair, verdict) for pair, verdict in verdicts.items()]))
    same = {pair for pair, verdict in verdicts.items() if verdict == "practically the same"}
    tied = same | {pair for pair, verdict in verdicts.items() if verdict == "cannot tell"}
    shared = {kind: set() for kind in (True, False)}
    for group in groups:
        shared[group.is_same] |= set(combinations(group.models, 2))
        assert list(group.models) == sorted(group.models, key=ranking.index)
        assert len(group.models) > 1
        known = same if group.is_same else tied
        outside = set(ranking) - set(group.models)
        assert not any(all(tuple(sorted((other, m))) in known for m in group.models) for other in outside), (
            "not maximal"
        )
    assert shared[True] == same
    assert shared[True] | shared[False] == tied
    assert len(set(groups)) == len(groups)
    assert groups == sorted(groups, key=lambda group: [ranking.index(model) for model in group.models])


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_two_models_that_answer_alike_differ_by_little_however_few_their_seeds(seeds):
    right = np.random.default_rng(3).random((seeds, 2000)) > 0.02
    test = paired_test("a", right, "b", right)
    assert test.difference == 0
    assert test.p_value == pytest.approx(1)
    assert -0.1 < test.interval.low < 0 < test.interval.high < 0.1
