"""Images in groups: design effects agree with statsmodels, and intervals and tests keep their promises."""

from dataclasses import replace
from itertools import product
from math import sqrt

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.api import OLS

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import accuracy_estimate, wilson_interval
from mnistbench.stats.groups import Clustering, clustering
from mnistbench.stats.pairs import paired_test, sign_flips
from mnistbench.stats.verdicts import judged

# As many writers as in MNIST's test set, employees with about five times as many images as students.
WRITERS = np.repeat(np.arange(297), [104] * 48 + [20] * 249)
# By this much writers differ, on the scale of an image's own differences: it makes the intervals of
# independent images too narrow by 1.8, 1.4 and 1.2 for 7.4, 1.2 and 0.6 % of errors, as MNIST's writers do.
WRITER_SD = 0.37


def fits_in_groups(draw, most_seeds=3):
    """Right or wrong by seed and image, bool (seeds, n), and the group of each image, (n,)."""
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = 7 * rng.integers(0, draw(st.integers(1, n)), n)
    ease = rng.random(ids.max() + 1)[ids]
    return [rng.random((draw(st.integers(1, most_seeds)), n)) < ease for _ in range(2)], ids


grouped_fits = st.composite(fits_in_groups)()


# One model's accuracy


@given(grouped_fits)
def test_the_design_effect_is_that_of_a_cluster_robust_variance(fits):
    (right, _), ids = fits
    found = clustering(right, ids)
    assert found.groups == len(np.unique(ids))
    n = right.shape[1]
    if found.groups == 1 or right.all() or not right.any():
        assert found.design_effect == (n if found.groups == 1 else 1)
        return
    robust = [
        OLS(row.astype(float), np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": ids}).bse[0] ** 2
        for row in right
    ]
    plain = [row.var(ddof=1) / n for row in right]
    assert found.design_effect == pytest.approx(max(1, np.mean(robust) / np.mean(plain)))


@given(grouped_fits)
def test_where_each_image_is_its_own_group_nothing_changes(fits):
    (a, b), ids = fits
    alone = np.random.default_rng(1).permutation(len(ids)) * 3
    errors, n = (~a).sum(axis=1).tolist(), len(ids)
    known, unknown = accuracy_estimate(errors, n, clustering(a, alone)), accuracy_estimate(errors, n)
    assert (known.effective_count, unknown.effective_count) == (n, None)
    assert replace(known, effective_count=None) == unknown
    assert paired_test("a", a, "b", b, alone) == paired_test("a", a, "b", b)


@given(grouped_fits)
def test_the_names_of_the_groups_and_the_order_of_the_images_play_no_part(fits):
    (a, b), ids = fits
    order = np.random.default_rng(1).permutation(len(ids))
    before, after = (
        paired_test("a", a, "b", b, ids),
        paired_test("a", a[:, order], "b", b[:, order], 5 - ids[order]),
    )
    assert after.p_value == pytest.approx(before.p_value)
    assert after.sampling_se == pytest.approx(before.sampling_se)
    assert clustering(a[:, order], 5 - ids[order]) == clustering(a, ids)


def test_copies_of_images_are_worth_no_more_than_the_images():
    right = np.random.default_rng(2).random(500) < 0.9
    copies, ids = np.repeat(right, 20), np.repeat(np.arange(500), 20)
    estimate = accuracy_estimate([int((~copies).sum())], 10_000, clustering(copies, ids))
    once = accuracy_estimate([int((~right).sum())], 500)
    assert estimate.mean == pytest.approx(once.mean)
    assert estimate.effective_count == pytest.approx(500, rel=0.003)
    assert (estimate.sampling.low, estimate.sampling.high) == pytest.approx(
        (once.sampling.low, once.sampling.high), abs=2e-4
    )


def test_the_interval_is_wilsons_at_the_effective_number():
    estimate = accuracy_estimate([700, 720], 10_000, Clustering(groups=297, design_effect=3.4))
    assert estimate.effective_count == pytest.approx(10_000 / 3.4)
    narrowed = 10_000 / 3.4 * (1.96 / scipy.stats.t.ppf(0.975, 296)) ** 2
    expected = wilson_interval(0.929 * narrowed, narrowed)
    assert (estimate.sampling.low, estimate.sampling.high) == pytest.approx(
        (expected.low, expected.high), abs=5e-6
    )
    # What the seeds add does not depend on the images' groups.
    plain = accuracy_estimate([700, 720], 10_000)
    assert (estimate.training, estimate.training_sd) == (plain.training, plain.training_sd)


def test_few_groups_make_a_wide_interval_and_one_tells_next_to_nothing():
    widths = [
        interval.high - interval.low
        for groups in (1000, 5, 2)
        for interval in [accuracy_estimate([50], 1000, Clustering(groups, 2.0)).sampling]
    ]
    assert widths[1] > 1.3 * widths[0]
    assert widths[2] > 2 * widths[1]
    right = np.arange(100) % 10 > 0
    only = accuracy_estimate([10], 100, clustering(right, np.zeros(100)))
    assert only.sampling.high - only.sampling.low > 0.9


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2, 3]], []])
def test_groups_of_other_images_are_refused(ids):
    with pytest.raises(DataError):
        clustering([True, False, True], ids)
    with pytest.raises(DataError):
        paired_test("a", [True, False, True], "b", [True, True, True], ids)


# Pairs of models


@given(st.lists(st.integers(-6, 6), max_size=9))
def test_sign_flips_count_every_choice_of_signs(differences):
    sums = [abs(np.dot(signs, differences)) for signs in product([-1, 1], repeat=len(differences))]
    assert sign_flips(differences) == pytest.approx(np.mean(np.array(sums) >= abs(sum(differences))))


def test_of_many_groups_random_flips_give_the_same_p_value():
    rng = np.random.default_rng(3)
    differences = rng.integers(-9, 11, 297)
    sums = rng.choice([-1, 1], (20_000, 297)) @ differences
    assert sign_flips(differences) == pytest.approx(np.mean(np.abs(sums) >= abs(differences.sum())), abs=0.01)


def test_single_fits_are_compared_by_the_flips_of_their_groups():
    a, b, ids = [True, True, False, True, True], [False, False, True, True, False], list("ppqqr")
    test = paired_test("a", a, "b", b, ids)
    assert (test.method, test.p_value) == ("exact sign flips", sign_flips([2, -1, 1]))


# Simulation


def by_writer(rng, sd):
    """How easy the images of each writer are, by image."""
    return sd * rng.standard_normal(WRITERS.max() + 1)[WRITERS]


def simulated_pair(rng, error, seeds, seed_sd):
    """Two equally accurate models' fits, each right or wrong: bool (seeds, n).

    What makes writers and images hard is partly the same for both models, partly their own; each seed shifts
    all images, and those of some writers and single images more.
    """
    n = len(WRITERS)
    shared = by_writer(rng, 0.3) + 0.8 * rng.standard_normal(n)
    spread = sqrt(1 + WRITER_SD**2 + (0.08**2 + seed_sd**2 if seeds > 1 else 0))
    for _ in range(2):
        own = shared + by_writer(rng, 0.22) + 0.5 * rng.standard_normal(n)
        fits = own + 0.33 * rng.standard_normal((seeds, n))
        if seeds > 1:
            fits += seed_sd * rng.standard_normal((seeds, 1)) + [by_writer(rng, 0.08) for _ in range(seeds)]
        yield fits + scipy.stats.norm.ppf(error) * spread <= 0


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_sampling_error_of_a_difference_is_cluster_robust(seeds):
    a, b = simulated_pair(np.random.default_rng(6), 0.074, seeds, 0.0)
    n = len(WRITERS)
    difference = a.mean(axis=0) - b.mean(axis=0)
    expected = OLS(difference, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": WRITERS}).bse[0]
    test = paired_test("a", a, "b", b, WRITERS)
    assert test.sampling_se == pytest.approx(expected, rel=0.01)
    assert test.sampling_se > 1.2 * paired_test("a", a, "b", b).sampling_se
    assert test.variation.groups == 297


def test_images_by_the_same_writers_settle_less():
    a, b = simulated_pair(np.random.default_rng(7), 0.012, 1, 0.0)
    (grouped,), (independent,) = (judged([paired_test("a", a, "b", b, ids)]) for ids in (WRITERS, None))
    assert (grouped.verdict, independent.verdict) == ("cannot tell", "cannot tell")
    assert grouped.images_to_settle > 1.2 * independent.images_to_settle


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.074, 0.03, 0.012, 0.006])
def test_the_interval_by_writer_covers_the_accuracy_where_that_of_independent_images_does_not(error):
    rng = np.random.default_rng(4)
    threshold = scipy.stats.norm.ppf(error) * sqrt(1 + WRITER_SD**2)
    covered = np.zeros(2)
    for _ in range(1000):
        right = threshold + by_writer(rng, WRITER_SD) + rng.standard_normal(len(WRITERS)) <= 0
        for place, known in enumerate((clustering(right, WRITERS), None)):
            interval = accuracy_estimate([int((~right).sum())], len(WRITERS), known).sampling
            covered[place] += interval.low <= 1 - error <= interval.high
    grouped, independent = covered / 1000
    assert 0.93 <= grouped <= 0.97
    assert independent < grouped - 0.03


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.074, 0.012])
@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (2, 0.03), (3, 0.1)])
def test_of_equally_accurate_models_one_pair_in_twenty_is_called_different(error, seeds, seed_sd):
    """By writer the test keeps its level and the interval covers 0; for independent images they may not."""
    rng = np.random.default_rng(5)
    alarms, covered = np.zeros(2), 0
    for _ in range(600):
        a, b = simulated_pair(rng, error, seeds, seed_sd)
        test = paired_test("a", a, "b", b, WRITERS)
        alarms += [test.p_value < 0.05, paired_test("a", a, "b", b).p_value < 0.05]
        covered += test.interval.low <= 0 <= test.interval.high
    grouped, independent = alarms / 600
    assert 0.02 <= grouped <= 0.08
    assert 0.93 <= covered / 600 <= 0.98
    if seeds == 1:
        assert independent > 1.5 * grouped
