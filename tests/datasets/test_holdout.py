"""The hold-out: whole groups, or the last images if their order is an accident, or some of each class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.datasets import Arrays
from mnistbench.datasets.holdout import choose_holdout, described, held_out_mask, other_holdout
from mnistbench.errors import DataError


def labelled(y_train, groups=None) -> Arrays:
    """Return blank images with these labels and, for each training image, the group and its stratum."""
    blank = np.zeros((len(y_train), 1, 1), np.uint8)
    table = None if groups is None else np.concatenate([groups, [[-1, 0]]])
    return Arrays(blank, np.asarray(y_train), blank[:1], np.asarray(y_train)[:1], groups=table)


def held_indices(y_train, kind) -> list[int]:
    return np.flatnonzero(held_out_mask(labelled(y_train), kind)).tolist()


def test_images_in_random_order_lose_their_last_sixth():
    labels = np.random.default_rng(0).integers(0, 10, 60_000)
    assert choose_holdout(labelled(labels)) == "last"
    assert held_indices(labels, "last") == list(range(50_000, 60_000))


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
    assert choose_holdout(labelled(labels)) == "stratified"
    held = labels[held_indices(labels, "stratified")]
    assert len(held) == 60
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        assert abs(np.count_nonzero(held == label) - count / 6) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_images_in_random_order_keep_their_last_sixth(seed):
    assert choose_holdout(labelled(np.random.default_rng(seed).permutation(np.arange(1200) % 10))) == "last"


TOO_FEW = {
    "less than a sixth's one": [0, 1, 0, 1, 0],
    "fewer held out than classes": [0, 1, 2] * 5,
    "one image of a class": [0, 1] * 30 + [2],
}


@pytest.mark.parametrize("case", TOO_FEW)
def test_too_few_images_have_no_hold_out(case):
    assert choose_holdout(labelled(TOO_FEW[case])) is None


@given(st.lists(st.integers(2, 40), min_size=2, max_size=9), st.randoms(use_true_random=False))
def test_whatever_is_chosen_shows_every_class_on_both_sides(counts, random):
    labels = np.repeat(np.arange(len(counts)), counts)
    random.shuffle(labels)
    kind = choose_holdout(labelled(labels))
    if kind is None:
        assert len(labels) // 6 < len(counts)
        return
    held = held_indices(labels, kind)
    assert len(held) == len(labels) // 6
    assert set(labels[held]) == set(np.delete(labels, held)) == set(range(len(counts)))


def test_what_is_drawn_is_the_same_in_every_version():
    labels = np.sort(np.arange(36) % 3)
    assert held_indices(labels, "stratified") == [6, 11, 14, 17, 25, 30]
    groups = np.stack([np.arange(36) // 2, np.arange(36) // 18], axis=1)
    arrays = labelled(np.arange(36) % 2, groups)
    assert choose_holdout(arrays) == "groups-0191c401d71c"
    first, second = (
        np.flatnonzero(held_out_mask(arrays, f"groups-0191c401d71c{part}")) for part in ("", ".1")
    )
    assert first.tolist() == [14, 15, 24, 25]
    assert second.tolist() == [2, 3, 4, 5, 20, 21, 32, 33]


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=8, max_size=30), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_where_groups_are_known_whole_ones_are_held_out_evenly_from_the_strata(sizes, random):
    rows = []
    for stratum, counts in enumerate(sizes):
        rows += [
            (100 * stratum + number, stratum) for number, count in enumerate(counts) for _ in range(count)
        ]
    random.shuffle(rows)
    groups = np.array(rows, dtype=np.int64)
    arrays = labelled(np.arange(len(rows)) % 2, groups)
    first = f"groups-{arrays.groups_sha256()[:12]}"
    parts = [held_out_mask(arrays, other_holdout(first, number)) for number in range(6)]
    assert (np.sum(parts, axis=0) == 1).all()
    for held in parts:
        assert not np.isin(groups[held, 0], groups[~held, 0]).any()
        for stratum, counts in enumerate(sizes):
            count = np.count_nonzero(held & (groups[:, 1] == stratum))
            # The first part has one cut that may be half a group off, the others two.
            assert abs(count - sum(counts) / 6) <= max(counts) / (2 if held is parts[0] else 1)
    both = [set(arrays.y_train[part]) == {0, 1} for part in (parts[0], ~parts[0])]
    assert choose_holdout(arrays) == (first if all(both) else None)


@pytest.mark.parametrize("kind", ["last", "stratified"])
def test_further_hold_outs_of_a_kind_share_no_image(kind):
    arrays = labelled(np.arange(360) % 3)
    masks = [held_out_mask(arrays, other_holdout(kind, number)) for number in range(6)]
    assert (np.sum(masks, axis=0) == 1).all()
    assert all(set(arrays.y_train[held]) == {0, 1, 2} for held in masks)
    assert described(f"{kind}.2") == f"{described(kind)}, number 2 beside the first"


@pytest.mark.parametrize(("kind", "number"), [("last", 6), ("last-60", 1), ("groups-0191c401d71c", 6)])
def test_hold_outs_that_do_not_exist_are_refused(kind, number):
    with pytest.raises(DataError, match=f"no hold-out {number} beside"):
        other_holdout(kind, number)
    unknown = f"{kind}.{number}"
    assert described(unknown) == unknown
    with pytest.raises(DataError, match="is unknown"):
        held_out_mask(labelled(np.arange(36) % 3), unknown)


def test_groups_other_than_those_of_the_plan_are_refused():
    groups = np.stack([np.arange(60) // 4, np.zeros(60, np.int64)], axis=1)
    kind = choose_holdout(labelled(np.arange(60) % 2, groups))
    groups[0, 0] = 7
    for changed in (groups, None):
        with pytest.raises(DataError, match="the groups of the images are missing or have changed"):
            held_out_mask(labelled(np.arange(60) % 2, changed), kind)


def test_a_kind_of_a_later_version_is_not_taken_for_another():
    with pytest.raises(
        DataError, match="the hold-out 'by moon' is unknown; this version supports last, strat"
    ):
        held_out_mask(labelled([0, 1] * 30), "by moon")
