"""Comparisons of times agree with independent implementations, and keep their promises."""

import statistics
from math import log, sqrt

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower

from mnistbench.errors import DataError
from mnistbench.stats.times import compare_times, pareto_front, timing_summary

seconds = st.floats(1e-4, 1e4)


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: timing_summary([]),
        lambda: timing_summary([1.0, 0.0]),
        lambda: timing_summary([1.0, float("nan")]),
        lambda: compare_times([1.0], []),
        lambda: compare_times([1.0], [-1.0]),
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(DataError):
        nonsense()


# Timings


@given(st.lists(seconds, min_size=2, max_size=30))
def test_timing_summaries_equal_the_standard_library_and_keep_the_values(values):
    given_values = list(values)
    summary = timing_summary(values)
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    assert (summary.lower_quartile, summary.median, summary.upper_quartile) == pytest.approx(
        (lower, median, upper)
    )
    assert (summary.minimum, summary.maximum) == (min(values), max(values))
    assert summary.interquartile_range == pytest.approx(upper - lower, abs=1e-9)
    assert summary.seconds == tuple(given_values)
    assert values == given_values


def test_a_single_timing_is_its_own_summary():
    summary = timing_summary([2.5])
    assert summary.median == summary.minimum == summary.maximum == 2.5
    assert summary.interquartile_range == 0


@given(
    st.lists(seconds, min_size=2, max_size=10),
    st.lists(seconds, min_size=2, max_size=10),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_time_ratios_equal_welch_on_logarithms(before, after, confidence):
    x, y = np.log(before), np.log(after)
    if np.ptp(x) < 1e-6 or np.ptp(y) < 1e-6:
        return
    expected = scipy.stats.ttest_ind(y, x, equal_var=False)
    bounds = np.exp(np.array(expected.confidence_interval(confidence)).clip(-700, 700))
    comparison = compare_times(before, after, confidence=confidence)
    assert comparison.ratio == pytest.approx(
        statistics.geometric_mean(after) / statistics.geometric_mean(before)
    )
    assert comparison.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (comparison.interval.low, comparison.interval.high) == pytest.approx(tuple(bounds), rel=1e-6)


@given(
    st.lists(st.floats(0.5, 2), min_size=2, max_size=6), st.lists(st.floats(0.5, 2), min_size=2, max_size=6)
)
def test_looking_the_other_way_turns_faster_into_slower(before, after):
    there, back = compare_times(before, after), compare_times(after, before)
    opposite = {"faster": "slower", "slower": "faster"}
    assert back.ratio == pytest.approx(1 / there.ratio)
    if abs(abs(log(there.ratio)) - log(1.05)) > 1e-9:
        assert back.verdict == opposite.get(there.verdict, there.verdict)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([1.00, 1.01, 1.02], [1.20, 1.21, 1.22], "slower"),
        ([1.20, 1.21, 1.22], [1.00, 1.01, 1.02], "faster"),
        ([1.000, 1.001, 1.002], [1.020, 1.021, 1.022], "same"),  # significant, but no factor worth a word
        ([1.0, 1.5, 2.0], [1.2, 1.8, 2.5], "cannot tell"),  # a factor, but not significant
        ([1.00, 1.01, 1.02], [1.04, 1.06, 1.05], "cannot tell"),  # significant, and perhaps a factor
        ([1.0], [9.0], "cannot tell"),
        ([1.0, 1.0], [1.0, 1.0], "same"),
        ([1.0, 1.0], [2.0, 2.0], "slower"),
    ],
)
def test_a_verdict_needs_both_a_factor_and_significance(before, after, verdict):
    assert compare_times(before, after).verdict == verdict


def test_a_larger_factor_asks_for_a_larger_change():
    before, after = [1.00, 1.01, 1.02], [1.20, 1.21, 1.22]
    assert compare_times(before, after, factor=1.5).verdict == "same"


def test_a_single_timing_has_a_ratio_but_no_interval():
    comparison = compare_times([1.0, 1.1], [2.2])
    assert comparison.ratio == pytest.approx(2.2 / sqrt(1.1))
    assert (comparison.interval, comparison.p_value, comparison.repeats_to_settle) == (None, None, None)


@pytest.mark.parametrize(
    ("n_before", "n_after"),
    [(3, 3), (3, 5), *(pytest.param(n, n, marks=pytest.mark.slow) for n in (4, 5, 10))],
)
@pytest.mark.parametrize("spreads", [(0.02, 0.02), (0.02, 0.2)])
def test_the_interval_of_a_time_ratio_covers_it(n_before, n_after, spreads):
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(2000):
        before = np.exp(rng.normal(0, spreads[0], n_before))
        after = 1.1 * np.exp(rng.normal(0, spreads[1], n_after))
        interval = compare_times(before, after).interval
        covered += interval.low <= 1.1 <= interval.high
    assert 0.93 <= covered / 2000 <= 0.98


@pytest.mark.parametrize("n", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 10))])
def test_slow_outliers_on_both_sides_do_not_raise_false_alarms(n):
    rng = np.random.default_rng(12)

    def timings():
        return np.exp(rng.normal(0, 0.01, n)) * np.where(rng.random(n) < 0.1, 1.5, 1.0)

    alarms = [compare_times(timings(), timings()).p_value < 0.05 for _ in range(2000)]
    assert np.mean(alarms) < 0.06


def test_repeats_to_settle_agrees_with_the_power_of_the_t_test():
    """Equal spreads, so that the classical power of the pooled test applies."""
    before, after = [1.0, 1.1, 1.21], [1.13, 1.243, 1.3673]
    comparison = compare_times(before, after)
    assert comparison.verdict == "cannot tell"
    effect = log(1.13) / np.std(np.log(before), ddof=1)
    expected = TTestIndPower().solve_power(effect, power=0.8, alpha=0.05)
    assert comparison.repeats_to_settle == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("ratio", [1.0, 1.13])
def test_that_many_repeats_mostly_settle_it(ratio):
    rng = np.random.default_rng(13)
    before = np.exp([-0.06, 0.0, 0.06])
    comparison = compare_times(before, ratio * before)
    assert comparison.verdict == "cannot tell"
    n = comparison.repeats_to_settle
    settled = []
    for _ in range(500):
        x, y = rng.normal(0, 0.06, (2, n))
        settled.append(compare_times(np.exp(x), ratio * np.exp(y)).verdict != "cannot tell")
    assert 0.6 <= np.mean(settled) <= 0.92


def test_what_repeats_cannot_settle_is_left_open():
    assert compare_times([1.0, 3.0], [1.05, 3.14]).repeats_to_settle is None


# Fronts and laws


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=3),
        st.tuples(st.sampled_from([0.9, 0.95, 0.96, 0.99]), st.sampled_from([1.0, 2.0, 5.0, 30.0])),
        max_size=12,
    )
)
def test_the_pareto_front_holds_exactly_the_models_that_none_beats(points):
    def beats(one, other):
        return one[0] >= other[0] and one[1] <= other[1] and one != other

    expected = {
        name for name, point in points.items() if not any(beats(other, point) for other in points.values())
    }
    front = pareto_front(points)
    assert set(front) == expected
    assert len(front) == len(expected)
    assert [points[name][1] for name in front] == sorted(points[name][1] for name in front)
