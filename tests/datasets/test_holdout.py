"""The hold-out: the last images where their order is an accident, else some of each class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.datasets import Arrays
from mnistbench.datasets.holdout import HOLDOUTS, choose_holdout, holdout_count, holdout_indices
from mnistbench.errors import DataError


def labelled(y_train) -> Arrays:
    blank = np.zeros((len(y_train), 1, 1), np.uint8)
    return Arrays(blank, np.asarray(y_train), blank[:1], np.asarray(y_train)[:1])


def test_mnists_hold_out_is_its_last_ten_thousand():
    labels = np.random.default_rng(0).integers(0, 10, 60_000)
    assert holdout_count(60_000) == 10_000
    assert choose_holdout(labels) == "last"
    assert holdout_indices(labelled(labels), "last").tolist() == list(range(50_000, 60_000))


ORDERS = {
    "by label": np.sort(np.arange(360) % 3),
    "by label, falling": -np.sort(np.arange(360) % 3),
    "one class missing at the end": np.concatenate([np.arange(300) % 4, np.arange(60) % 3]),
    "one class at the end alone": np.concatenate([np.arange(300) % 3, np.arange(60) % 4]),
    "one class hardly ever at the end": np.concatenate(
        [np.arange(300) % 3, np.r_[np.zeros(8), np.ones(26), [2] * 26]]
    ),
    "one class mostly at the end": np.concatenate(
        [np.arange(300) % 3, np.r_[np.zeros(44), np.ones(8), [2] * 8]]
    ),
}


@pytest.mark.parametrize("order", ORDERS)
def test_where_the_order_is_no_accident_a_part_of_each_class_is_held_out(order):
    labels = ORDERS[order].astype(np.int64)
    assert choose_holdout(labels) == "stratified"
    held = labels[holdout_indices(labelled(labels), "stratified")]
    assert len(held) == 60
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        assert abs(np.count_nonzero(held == label) - count / 6) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_images_in_random_order_keep_their_last_sixth(seed):
    assert choose_holdout(np.random.default_rng(seed).permutation(np.arange(1200) % 10)) == "last"


TOO_FEW = {
    "less than a sixth's one": [0, 1, 0, 1, 0],
    "fewer held out than classes": [0, 1, 2] * 5,
    "one image of a class": [0, 1] * 30 + [2],
}


@pytest.mark.parametrize("case", TOO_FEW)
def test_too_few_images_have_no_hold_out(case):
    assert choose_holdout(np.array(TOO_FEW[case])) is None


@given(st.lists(st.integers(2, 40), min_size=2, max_size=9), st.randoms(use_true_random=False))
def test_whatever_is_chosen_shows_every_class_on_both_sides(counts, random):
    labels = np.repeat(np.arange(len(counts)), counts)
    random.shuffle(labels)
    kind = choose_holdout(labels)
    if kind is None:
        assert holdout_count(len(labels)) < len(counts)
        return
    held = holdout_indices(labelled(labels), kind)
    assert kind in HOLDOUTS
    assert len(held) == holdout_count(len(labels))
    assert (np.diff(held) > 0).all()
    assert set(labels[held]) == set(np.delete(labels, held)) == set(range(len(counts)))


def test_what_is_drawn_is_the_same_in_every_version():
    held = holdout_indices(labelled(np.sort(np.arange(36) % 3)), "stratified")
    assert held.tolist() == [6, 11, 14, 17, 25, 30]


def test_a_kind_of_a_later_version_is_not_taken_for_another():
    with pytest.raises(
        DataError, match="the hold-out 'by moon' is unknown; this version supports last, strat"
    ):
        holdout_indices(labelled([0, 1] * 30), "by moon")
