"""Quality must agree with scikit-learn where it has the number, and with its definition where it has not."""

import time
from dataclasses import FrozenInstanceError, asdict
from itertools import pairwise

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from mnistbench.errors import DataError
from mnistbench.stats.scores import (
    MNIST_TEST_LABEL_ERRORS,
    ClassQuality,
    ConfusedPair,
    accuracy_without,
    confusion_matrix,
    expected_calibration_error,
    most_confused,
    per_class,
    quality,
    reliability,
)

ODD_CLASSES = (-3, 4, 7, 9, 61)


@st.composite
def predictions(draw, least=1):
    """Labels, predictions and probabilities for 2 to 6 classes with gaps between their labels."""
    classes = tuple(sorted(draw(st.sets(st.integers(-50, 50), min_size=2, max_size=6))))
    n = draw(st.integers(least, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth, predicted = rng.choice(classes, n), rng.choice(classes, n)
    probabilities = rng.dirichlet(np.full(len(classes), draw(st.sampled_from([0.05, 0.5, 5.0]))), n)
    if draw(st.booleans()):  # votes of a small ensemble: many ties, and exact zeros and ones
        probabilities = rng.multinomial(4, probabilities) / 4
    return truth, predicted, probabilities, classes


def synthetic(n=2000, classes=ODD_CLASSES, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n)
    probabilities = rng.dirichlet(np.full(len(classes), 0.3), n)
    predicted = np.asarray(classes)[probabilities.argmax(axis=1)]
    return truth, predicted, probabilities, classes


def test_scores_equal_scikit_learn():
    truth, predicted, probabilities, classes = synthetic()
    result = quality(truth, predicted, probabilities, classes)
    assert result.test_count == 2000
    assert result.error_count == int((truth != predicted).sum())
    assert result.accuracy == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    assert result.log_loss == pytest.approx(sklearn.metrics.log_loss(truth, probabilities, labels=classes))
    assert result.brier_score == pytest.approx(
        sklearn.metrics.brier_score_loss(truth, probabilities, labels=list(classes), scale_by_half=False)
    )
    assert result.top2_accuracy == pytest.approx(
        sklearn.metrics.top_k_accuracy_score(truth, probabilities, k=2, labels=classes)
    )


@given(predictions())
def test_macro_scores_equal_scikit_learn_over_the_classes_that_occur(case):
    truth, predicted, _, classes = case
    result = quality(truth, predicted, None, classes)
    expected = sklearn.metrics.precision_recall_fscore_support(
        truth, predicted, labels=np.unique(truth), average="macro", zero_division=0
    )
    assert (result.macro_precision, result.macro_recall, result.macro_f1) == pytest.approx(expected[:3])


@given(predictions())
def test_every_score_lies_in_its_range(case):
    truth, predicted, probabilities, classes = case
    result = asdict(quality(truth, predicted, probabilities, classes))
    assert result.pop("test_count") == len(truth)
    assert 0 <= result.pop("error_count") <= len(truth)
    assert 0 <= result.pop("brier_score") <= 2
    assert 0 <= result.pop("log_loss") <= 36.05
    assert all(0 <= value <= 1 for value in result.values()), result


@given(predictions(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_plays_no_part(case, random):
    truth, predicted, probabilities, classes = case
    order = list(range(len(truth)))
    random.shuffle(order)
    before = quality(truth, predicted, probabilities, classes)
    after = quality(truth[order], predicted[order], probabilities[order], classes)
    assert asdict(after) == pytest.approx(asdict(before), abs=1e-12)


@given(predictions())
def test_the_names_of_the_classes_play_no_part(case):
    truth, predicted, probabilities, classes = case
    renamed = tuple(range(len(classes)))
    before = quality(truth, predicted, probabilities, classes)
    after = quality(
        np.searchsorted(classes, truth), np.searchsorted(classes, predicted), probabilities, renamed
    )
    assert after == before


def test_scores_are_plain_numbers_that_do_not_change():
    result = quality(*synthetic(50))
    assert {type(value) for value in asdict(result).values()} == {int, float}
    with pytest.raises(FrozenInstanceError):
        result.accuracy = 1.0  # type: ignore[misc]


def test_without_probabilities_only_labels_are_scored():
    result = asdict(quality([4, 7], [4, 4], None, ODD_CLASSES))
    assert result["accuracy"] == 0.5
    assert list(result.values())[-5:] == [None] * 5


def test_a_certain_mistake_costs_36_nats_and_not_infinity():
    result = quality([4], [7], [[0, 0, 1, 0, 0]], ODD_CLASSES)
    assert result.log_loss == pytest.approx(-np.log(2.0**-52))
    assert result.brier_score == 2.0


def test_the_log_loss_of_certain_and_correct_answers_is_zero_without_a_minus_sign():
    certain = quality([7, 7], [7, 7], [[0, 0, 1, 0, 0], [0, 0, 1, 0, 0]], ODD_CLASSES)
    assert str(certain.log_loss) == "0.0"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rounding_of_stored_probabilities_hardly_moves_the_scores(dtype):
    truth, predicted, probabilities, classes = synthetic()
    probabilities = np.clip(probabilities, 0.01, None)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    exact = asdict(quality(truth, predicted, probabilities, classes))
    stored = asdict(quality(truth, predicted, probabilities.astype(dtype), classes))
    assert stored == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.5, 0.3, 0.2], 1.0),  # first
        ([0.3, 0.5, 0.2], 1.0),  # second
        ([0.2, 0.5, 0.3], 0.0),  # third
        ([0.3, 0.4, 0.3], 0.5),  # one of two that share the second place
        ([0.5, 0.5, 0.0], 1.0),  # one of two that share the first
        ([1 / 3, 1 / 3, 1 / 3], 2 / 3),  # no opinion
    ],
)
def test_a_tie_for_second_place_counts_as_a_fair_draw(probabilities, expected):
    assert quality([0], [0], [probabilities], (0, 1, 2)).top2_accuracy == pytest.approx(expected)


def test_a_class_without_test_images_takes_no_part_in_macro_means():
    truth, predicted = [0, 0, 1, 1], [0, 2, 1, 1]
    result = quality(truth, predicted, None, (0, 1, 2, 3))
    assert result.macro_recall == pytest.approx((0.5 + 1) / 2)
    assert result.macro_precision == 1.0
    rows = per_class(confusion_matrix(truth, predicted, (0, 1, 2, 3)), (0, 1, 2, 3))
    assert rows[2:] == [ClassQuality(2, 0, None, None, None), ClassQuality(3, 0, None, None, None)]


@given(predictions())
def test_class_scores_equal_scikit_learn(case):
    truth, predicted, _, classes = case
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        truth, predicted, labels=classes, average=None, zero_division=0
    )
    for i, row in enumerate(per_class(confusion_matrix(truth, predicted, classes), classes)):
        assert (row.label, row.support) == (classes[i], support[i])
        if row.support:
            assert (row.precision, row.recall, row.f1) == pytest.approx((precision[i], recall[i], f1[i]))


@given(predictions())
def test_the_confusion_matrix_equals_scikit_learn(case):
    truth, predicted, _, classes = case
    matrix = confusion_matrix(truth, predicted, classes)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(
        matrix, sklearn.metrics.confusion_matrix(truth, predicted, labels=list(classes))
    )


def test_the_most_confused_pairs_come_first_and_ties_follow_the_labels():
    matrix = np.array([[90, 3, 7], [3, 50, 0], [1, 0, 9]])
    assert most_confused(matrix, (4, 7, 9), 3) == [
        ConfusedPair(4, 9, 7, 0.07),
        ConfusedPair(4, 7, 3, 0.03),
        ConfusedPair(7, 4, 3, 3 / 53),
    ]
    assert len(most_confused(matrix, (4, 7, 9), 99)) == 4
    assert most_confused(np.diag([5, 6]), (0, 1), 10) == []


def test_the_reliability_diagram_equals_scikit_learn():
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1.0, 5000)
    probabilities = np.column_stack([1 - confidence, confidence])
    truth = (rng.random(5000) < confidence**2).astype(int)
    bins = [each for each in reliability(truth, probabilities, (0, 1)) if each.count]
    accuracy, mean_confidence = calibration_curve(truth, confidence, n_bins=15)
    assert [each.accuracy for each in bins] == pytest.approx(accuracy)
    assert [each.mean_confidence for each in bins] == pytest.approx(mean_confidence)


@given(predictions(), st.booleans(), st.integers(1, 20))
def test_every_image_is_in_one_bin_whose_bounds_hold_its_confidence(case, equal_mass, bin_count):
    truth, _, probabilities, classes = case
    bins = reliability(truth, probabilities, classes, bins=bin_count, equal_mass=equal_mass)
    confidence = probabilities.max(axis=1)
    assert sum(each.count for each in bins) == len(truth)
    assert bins[0].lower == 0
    assert bins[-1].upper == pytest.approx(confidence.max() if equal_mass else 1.0)
    for left, right in pairwise(bins):
        assert left.upper == right.lower
    for each in bins:
        if each.count:
            assert each.lower - 1e-9 <= each.mean_confidence <= each.upper + 1e-9
        else:
            assert (each.mean_confidence, each.accuracy) == (None, None)
            assert not equal_mass


def test_bins_of_equal_mass_hold_equally_many_images():
    truth, _, probabilities, classes = synthetic(1500)
    assert [each.count for each in reliability(truth, probabilities, classes, equal_mass=True)] == [100] * 15


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    bins = reliability([0, 0], [[0.6, 0.4], [0.61, 0.39]], (0, 1), bins=5)
    assert [each.count for each in bins] == [0, 0, 1, 1, 0]


@given(predictions())
def test_calibration_error_equals_a_plain_loop_over_the_bins(case):
    truth, predicted, probabilities, classes = case
    confidence = probabilities.max(axis=1)
    right = np.asarray(classes)[probabilities.argmax(axis=1)] == truth
    expected = 0.0
    edges = np.linspace(0, 1, 16)
    for lower, upper in pairwise(edges):
        inside = (confidence > lower) & (confidence <= upper)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    result = quality(truth, predicted, probabilities, classes)
    # A row that sums to 1 only up to rounding may fall on either side of an edge; such rows are rare.
    on_edge = np.isclose(confidence[:, None], edges[1:-1]).any(axis=1).mean()
    assert result.calibration_error == pytest.approx(expected, abs=1e-9 + 2 * on_edge)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_honest_probabilities_are_well_calibrated_and_distorted_ones_are_not(sharpness):
    rng = np.random.default_rng(5)
    honest = rng.dirichlet(np.full(10, 0.3), 20_000)
    truth = (rng.random((20_000, 1)) > honest.cumsum(axis=1)).sum(axis=1).clip(0, 9)
    stated = honest**sharpness
    stated /= stated.sum(axis=1, keepdims=True)
    result = quality(truth, stated.argmax(axis=1), stated, range(10))
    if sharpness == 1.0:
        assert result.calibration_error < 0.015
        assert result.adaptive_calibration_error < 0.015
    else:
        assert result.calibration_error > 0.08
        assert result.adaptive_calibration_error > 0.08


def test_calibration_error_of_one_overconfident_bin_is_its_gap():
    bins = reliability([0, 1], [[1, 0], [1, 0]], (0, 1))
    assert expected_calibration_error(bins) == 0.5


def test_accuracy_without_leaves_out_exactly_the_listed_images():
    truth, predicted = np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0])
    assert accuracy_without(truth, predicted, []) == 0.5
    assert accuracy_without(truth, predicted, [2]) == pytest.approx(2 / 3)
    assert accuracy_without(truth, predicted, [0, 0, 1]) == 0.0
    with pytest.raises(DataError, match="Image 4 cannot be left out"):
        accuracy_without(truth, predicted, [4])
    with pytest.raises(DataError, match="Image -1 cannot be left out"):
        accuracy_without(truth, predicted, [-1])
    with pytest.raises(DataError, match="Every test image"):
        accuracy_without(truth, predicted, range(4))


def test_the_known_label_errors_are_fifteen_different_mnist_test_images():
    assert len(set(MNIST_TEST_LABEL_ERRORS)) == 15
    assert all(0 <= index < 10_000 for index in MNIST_TEST_LABEL_ERRORS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1], None, (1, 2)), "1 predictions for 2 images"),
        (([], [], None, (1, 2)), "one label for each image"),
        (([1, 2], [1, 3], None, (1, 2)), "predicted labels contain 3"),
        (([1, 5], [1, 2], None, (1, 2)), "true labels contain 5"),
        (([1, 2], [1, 2], None, (2, 1)), "ascending order"),
        (([1, 2], [1, 2], None, (1, 1, 2)), "ascending order"),
        (([1, 2], [1, 2], [[1.0], [1.0]], (1, 2)), r"shape \(2, 1\): expected \(2, 2\)"),
        (([1], [1], [[np.nan, 1.0]], (1, 2)), "non-finite"),
        (([1], [1], [[-0.1, 1.1]], (1, 2)), "negative"),
        (([1], [1], [[0.6, 0.6]], (1, 2)), "sum to 1"),
        (([1], [1], [[0.0, 0.0]], (1, 2)), "sum to 1"),
    ],
)
def test_malformed_input_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        quality(*arguments)


def test_ten_thousand_images_are_scored_in_no_time():
    case = synthetic(10_000, tuple(range(10)))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        quality(*case)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1  # about 7 ms; the margin is for a busy machine
