"""Which images train and which judge: drawn evenly, drawn alike on every machine, and never mixed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trials import write_dataset

from mnistbench.datasets import Arrays, open_arrays
from mnistbench.datasets.holdout import held_out_mask
from mnistbench.datasets.splits import evaluation_groups, evaluation_labels, split, stratified_subset
from mnistbench.errors import UsageError


def numbered(train_count: int = 120, test_count: int = 30, classes: int = 5) -> Arrays:
    """Return a data set whose images each hold their own number; those of the test set begin at 200."""
    x_train = np.arange(train_count, dtype=np.uint8)[:, None, None]
    x_test = np.arange(200, 200 + test_count, dtype=np.uint8)[:, None, None]
    return Arrays(x_train, np.arange(train_count) % classes, x_test, np.arange(test_count) % classes)


@st.composite
def labels_and_size(draw):
    counts = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    labels = np.repeat(np.asarray(draw(st.permutations(range(-3, len(counts) - 3)))), counts)
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(len(labels))
    return labels[order], draw(st.integers(len(counts), len(labels)))


@given(labels_and_size(), st.integers(0, 2**31))
def test_a_subset_has_its_exact_size_and_each_class_in_its_share(drawn, seed):
    y, size = drawn
    chosen = stratified_subset(y, size, seed)
    assert len(chosen) == size
    assert (np.diff(chosen) > 0).all()
    classes, counts = np.unique(y, return_counts=True)
    kept = np.array([np.count_nonzero(y[chosen] == label) for label in classes])
    assert (kept >= 1).all()
    assert (kept <= counts).all()
    shares = counts * size / len(y)
    if (shares >= 1).all():
        assert (np.abs(kept - shares) < 1 + 1e-9).all()
    assert np.array_equal(chosen, stratified_subset(y, size, seed))


@given(labels_and_size(), st.integers(0, 2**31))
def test_a_larger_subset_holds_the_smaller_ones_of_its_seed(drawn, seed):
    y, size = drawn
    shares = np.bincount(y - y.min()) / len(y)
    larger = min(size + int(np.ceil(1 / shares.min())), len(y))
    assert np.isin(stratified_subset(y, size, seed), stratified_subset(y, larger, seed)).all()


def test_the_largest_remainders_get_what_is_left():
    y = np.repeat([0, 1, 2], [50, 33, 17])
    assert np.bincount(y[stratified_subset(y, 10, 0)]).tolist() == [5, 3, 2]


def test_a_rare_class_takes_its_image_from_the_largest():
    y = np.repeat([0, 1, 2], [97, 2, 1])
    assert np.bincount(y[stratified_subset(y, 5, 0)]).tolist() == [3, 1, 1]


def test_another_seed_draws_other_images():
    y = np.arange(1000) % 10
    assert not np.array_equal(stratified_subset(y, 100, 1), stratified_subset(y, 100, 2))


def test_the_draw_is_the_same_on_every_machine():
    y = np.arange(60) % 3
    assert stratified_subset(y, 6, 42).tolist() == [23, 25, 27, 38, 45, 55]


@pytest.mark.parametrize("size", [-1, 0, 4, 121])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(UsageError, match=f"a training size of {size} is out of range.* allows 5 .* to 120"):
        split(numbered(), "test", size, 0)


def test_the_test_split_is_the_data_set_as_it_is():
    arrays = numbered()
    whole = split(arrays, "test", None, 0)
    assert whole.x_train is arrays.x_train
    assert np.array_equal(whole.x_eval, arrays.x_test)
    assert np.array_equal(whole.y_eval, evaluation_labels(arrays, "test"))
    part = split(arrays, "test", 20, 3)
    assert np.array_equal(part.x_train[:, 0, 0], stratified_subset(arrays.y_train, 20, 3))
    assert np.array_equal(part.y_train, part.x_train[:, 0, 0] % 5)
    assert np.array_equal(part.x_eval, arrays.x_test)


@pytest.mark.parametrize("size", [None, 50])
def test_the_validation_split_is_the_last_sixth_and_never_the_test_images(size):
    arrays = numbered()
    chosen = split(arrays, "validation", size, 0)
    assert chosen.x_eval[:, 0, 0].tolist() == list(range(100, 120))
    assert np.array_equal(chosen.y_eval, chosen.x_eval[:, 0, 0] % 5)
    assert np.array_equal(chosen.y_eval, evaluation_labels(arrays, "validation"))
    assert chosen.x_train.max() < 100
    assert len(chosen.x_train) == len(chosen.y_train) == (size or 100)
    with pytest.raises(UsageError, match="to 100"):
        split(arrays, "validation", 101, 0)


def test_a_drawn_hold_out_and_the_rest_are_all_images_and_never_the_same():
    arrays = numbered()
    held = np.flatnonzero(held_out_mask(arrays, "stratified"))
    whole = split(arrays, "validation", None, 0, "stratified")
    assert np.array_equal(whole.x_eval[:, 0, 0], held)
    assert np.array_equal(whole.y_eval, evaluation_labels(arrays, "validation", "stratified"))
    assert sorted([*whole.x_train[:, 0, 0], *held]) == list(range(120))
    assert np.array_equal(whole.y_train, whole.x_train[:, 0, 0] % 5)
    part = split(arrays, "validation", 50, 3, "stratified")
    assert np.array_equal(part.x_eval, whole.x_eval)
    assert not np.isin(part.x_train, part.x_eval).any()


@pytest.mark.parametrize("name", ["test", "validation"])
def test_the_groups_of_evaluation_images_say_which_are_trained_on(name):
    arrays = numbered()
    assert evaluation_groups(arrays, name) is None
    ids = np.r_[np.arange(120) // 8, np.arange(len(arrays.y_test)) % 20]
    grouped = replace(arrays, groups=np.stack([ids, ids % 3], axis=1))
    found = evaluation_groups(grouped, name)
    trained, judged = (ids[:120], ids[120:]) if name == "test" else (ids[:100], ids[100:120])
    assert found.ids.tolist() == judged.tolist()
    assert found.strata.tolist() == (judged % 3).tolist()
    assert found.trained_on.tolist() == [group in trained for group in judged]
    assert 0 < found.trained_on.sum() < len(judged)


def test_a_hold_out_of_nothing_and_one_of_an_unseen_class_are_refused():
    with pytest.raises(UsageError, match="too few training images to hold out some of each class"):
        split(numbered(train_count=5), "validation", None, 0)
    arrays = numbered()
    late = np.where(np.arange(120) < 100, arrays.y_train % 4, 4)
    with pytest.raises(UsageError, match="too few training images to hold out some of each class"):
        split(Arrays(arrays.x_train, late, arrays.x_test, arrays.y_test), "validation", None, 0)


def test_memory_mapped_arrays_are_split_without_being_changed(tmp_path):
    write_dataset(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    chosen = split(open_arrays(tmp_path), "test", 50, 1)
    assert chosen.x_train.shape == (50, 6, 5)
    assert np.bincount(chosen.y_train).tolist() == [5] * 10
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
