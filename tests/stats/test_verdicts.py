"""Each pair of models gets the verdict that its interval and p-value allow, and tie groups say so."""

from dataclasses import FrozenInstanceError, replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mnistbench.stats.pairs import paired_test, paired_tests
from mnistbench.stats.verdicts import TieGroup, holm, judged, tie_groups


@pytest.mark.slow  # statsmodels takes its time
@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_of_no_test_is_nothing():
    assert holm([]).shape == (0,)


def test_all_pairs_are_tested_and_corrected_together():
    rng = np.random.default_rng(9)
    correct = {
        name: rng.random((2, 300)) < accuracy for name, accuracy in [("a", 0.9), ("b", 0.8), ("c", 0.85)]
    }
    tests = judged(paired_tests(correct))
    assert [(test.model_a, test.model_b) for test in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = [paired_test(a, correct[a], b, correct[b]).p_value for a, b in combinations(correct, 2)]
    assert [test.p_value for test in tests] == alone
    assert [test.adjusted_p_value for test in tests] == pytest.approx(
        multipletests(alone, method="holm")[1].tolist()
    )
    assert paired_tests({"alone": [True, False]}) == []
    with pytest.raises(FrozenInstanceError):
        tests[0].p_value = 0.0


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


@pytest.mark.parametrize(
    ("fits", "verdict", "shown"),
    [
        ((30, 30, 10_000), "practically the same", (True, True)),
        ((20, 10, 10_000), "cannot tell", (True, False)),
        ((8, 2, 500), "cannot tell", (True, False)),
    ],
)
def test_a_model_is_shown_not_to_be_worse_by_the_interval_alone(fits, verdict, shown):
    test = verdict_on(*one_fit_each(*fits), 0.002)
    assert (test.verdict, (test.shows_not_worse("a"), test.shows_not_worse("b"))) == (verdict, shown)


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
    n, sd, a, b = 6_000, 0.01, 0.95, 0.938
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
    among = judged(paired_tests(correct))[0]
    assert (alone.verdict, among.verdict) == ("cannot tell", "cannot tell")
    assert among.images_to_settle > alone.images_to_settle


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
