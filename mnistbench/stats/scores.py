"""The quality of predictions: accuracy, log loss, calibration, confusion.

Labels are original values (any integers) and `classes` lists all of them in ascending order. Probabilities
have shape (n, k) with columns in the order of `classes`. No function needs a model or a file, so that every
number can be recomputed from stored predictions. Shapes that differ, no images, labels that are not classes,
and rows that are not probabilities are a DataError.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistbench.errors import DataError

Positions: TypeAlias = NDArray[np.int64]  # of labels in `classes`, 0 to k - 1, shape (n,)
Probabilities: TypeAlias = NDArray[np.float64]  # shape (n, k)
ConfusionMatrix: TypeAlias = NDArray[np.int64]  # images by true and by predicted class, shape (k, k)

MNIST_TEST_LABEL_ERRORS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip
"""Zero-based indices of the MNIST test images whose label is known to be wrong.

Found by confident learning and confirmed by human raters: C. G. Northcutt, A. Athalye and J. Mueller,
"Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks", NeurIPS Datasets and Benchmarks
2021; published by cleanlab's label-errors project, https://labelerrors.com.
"""

MARGIN = 0.002
"""Difference in accuracy up to which two models are practically the same, unless the user sets another."""

CALIBRATION_BINS = 15
"""Bins of the calibration errors: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017."""

LOG_LOSS_FLOOR = float(np.finfo(np.float64).eps)
"""Lowest probability in the log loss, 2.2e-16: a confident mistake costs 36.04 nats, not infinity."""

ROW_SUM_TOLERANCE = 1e-2
"""Tolerance of the sum of one image's probabilities, well above the rounding of float16 and float32."""


@dataclass(frozen=True)
class Quality:
    """The quality of one set of predictions.

    The last five are None without probabilities. They score the probabilities alone, whose most probable
    class may differ from the predicted label (as with the Platt scaling of an SVM). Each row of probabilities
    is divided by its sum first, so that rounding in storage does not matter.
    """

    test_count: int
    error_count: int
    accuracy: float
    macro_precision: float  # these three: plain means over the classes that occur in the test labels
    macro_recall: float
    macro_f1: float
    # Share whose true class is among the two most probable. A tie for the second place counts as its
    # expectation under a fair draw, so that the order of the classes does not matter.
    top2_accuracy: float | None
    log_loss: float | None  # mean of -ln p(true class), in nats; p is at least `LOG_LOSS_FLOOR`
    # Mean over images of the sum over classes of squared errors, 0 (best) to 2: G. W. Brier, "Verification of
    # forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
    brier_score: float | None
    calibration_error: float | None  # expected calibration error over 15 bins of equal width
    adaptive_calibration_error: float | None  # the same over 15 bins of equal mass


@dataclass(frozen=True)
class ClassQuality:
    """Precision, recall and F1 of one class; None if the test set has no image of it.

    A class that occurs but is never predicted has precision 0 and F1 0 (scikit-learn's `zero_division=0`).
    """

    label: int
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class ConfusedPair:
    """How often one class was predicted for another, and as what share of the true class's images."""

    true_label: int
    predicted_label: int
    count: int
    share: float


@dataclass(frozen=True)
class ReliabilityBin:
    """The images with confidence in (lower, upper]; the means are None if there are none."""

    lower: float
    upper: float
    count: int
    mean_confidence: float | None
    accuracy: float | None


def quality(
    y_true: ArrayLike, y_pred: ArrayLike, probabilities: ArrayLike | None, classes: Sequence[int]
) -> Quality:
    """Return the quality of predictions.

    Args:
        y_true: true labels, integers (n,).
        y_pred: predicted labels, integers (n,).
        probabilities: floats (n, k), columns in the order of `classes`, or None.
        classes: the k labels in ascending order. Macro means skip a class without a test image.
    """
    matrix = confusion_matrix(y_true, y_pred, classes)
    test_count = int(matrix.sum())
    error_count = test_count - int(np.trace(matrix))
    present = [row for row in per_class(matrix, classes) if row.support]
    top2_accuracy = log_loss = brier_score = calibration_error = adaptive_calibration_error = None
    if probabilities is not None:
        truth = _positions(y_true, classes, "true labels")
        given = _probabilities(probabilities, len(truth), len(classes))
        normalised = given / given.sum(axis=1, keepdims=True)
        top2_accuracy = _top2_accuracy(truth, given)
        log_loss = _log_loss(truth, normalised)
        brier_score = _brier_score(truth, normalised)
        calibration_error = expected_calibration_error(reliability(y_true, given, classes))
        adaptive_calibration_error = expected_calibration_error(
            reliability(y_true, given, classes, equal_mass=True)
        )
    return Quality(
        test_count=test_count,
        error_count=error_count,
        accuracy=(test_count - error_count) / test_count,
        macro_precision=float(np.mean([row.precision for row in present])),
        macro_recall=float(np.mean([row.recall for row in present])),
        macro_f1=float(np.mean([row.f1 for row in present])),
        top2_accuracy=top2_accuracy,
        log_loss=log_loss,
        brier_score=brier_score,
        calibration_error=calibration_error,
        adaptive_calibration_error=adaptive_calibration_error,
    )


def accuracy_without(y_true: ArrayLike, y_pred: ArrayLike, excluded: Iterable[int]) -> float:
    """Return the accuracy over the images whose zero-based index is not in `excluded`.

    Raises:
        DataError: an index is outside the test set, or no image is left.
    """
    truth, predicted = np.asarray(y_true), np.asarray(y_pred)
    _check_lengths(truth, predicted)
    indices = sorted(set(excluded))
    if indices and not 0 <= indices[0] <= indices[-1] < len(truth):
        raise DataError(
            f"Image {indices[-1] if indices[0] >= 0 else indices[0]} cannot be left out of a test set of "
            f"{len(truth)} images: expected indices of this test set."
        )
    kept = np.ones(len(truth), dtype=bool)
    kept[indices] = False
    if not kept.any():
        raise DataError("Every test image was left out: keep at least one to compute an accuracy.")
    return float(np.mean(truth[kept] == predicted[kept]))


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[int]) -> ConfusionMatrix:
    """Return the numbers of images by true class (rows) and predicted class (columns), as in `classes`."""
    truth = _positions(y_true, classes, "true labels")
    predicted = _positions(y_pred, classes, "predicted labels")
    _check_lengths(truth, predicted)
    k = len(classes)
    return np.bincount(truth * k + predicted, minlength=k * k).astype(np.int64).reshape(k, k)


def most_confused(matrix: ConfusionMatrix, classes: Sequence[int], count: int) -> list[ConfusedPair]:
    """Return up to `count` pairs of classes that were confused, most frequent first, then by label."""
    supports = matrix.sum(axis=1)
    pairs = [
        ConfusedPair(
            true_label=classes[row],
            predicted_label=classes[column],
            count=int(matrix[row, column]),
            share=float(matrix[row, column] / supports[row]),
        )
        for row, column in np.argwhere(matrix > 0).tolist()
        if row != column
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, pair.true_label, pair.predicted_label))[:count]


def per_class(matrix: ConfusionMatrix, classes: Sequence[int]) -> list[ClassQuality]:
    """Return precision, recall, F1 and support of each class, in the order of `classes`."""
    rows = []
    for position, label in enumerate(classes):
        right = int(matrix[position, position])
        support, predicted = int(matrix[position].sum()), int(matrix[:, position].sum())
        if support == 0:
            rows.append(ClassQuality(label, 0, None, None, None))
            continue
        rows.append(
            ClassQuality(
                label=label,
                support=support,
                precision=right / predicted if predicted else 0.0,
                recall=right / support,
                f1=2 * right / (support + predicted),
            )
        )
    return rows


def reliability(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[int],
    *,
    bins: int = CALIBRATION_BINS,
    equal_mass: bool = False,
) -> list[ReliabilityBin]:
    """Group images by confidence, the probability of their most probable class, for a reliability diagram.

    A bin's accuracy is the share of its images whose most probable class (the lowest label in a tie) is the
    true one. Bins of equal width cut [0, 1] evenly (Guo et al. 2017). Bins of equal mass hold the same number
    of images each (Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural language
    processing models", EMNLP 2015); images of the same confidence stay together, so that the order of the
    images does not matter, and there are fewer bins if many images tie.

    Args:
        y_true: true labels, integers (n,).
        probabilities: floats (n, k), columns in the order of `classes`.
        classes: the k labels in ascending order.
        bins: number of bins.
        equal_mass: whether bins hold equally many images, rather than being equally wide.
    """
    truth = _positions(y_true, classes, "true labels")
    given = _probabilities(probabilities, len(truth), len(classes))
    confidence = given.max(axis=1) / given.sum(axis=1)
    right = given.argmax(axis=1) == truth
    if equal_mass:
        ascending = np.sort(confidence)
        last = np.ceil(np.arange(1, bins + 1) * len(ascending) / bins).astype(np.int64) - 1
        edges = np.concatenate(([0.0], np.unique(ascending[last])))
    else:
        edges = np.linspace(0.0, 1.0, bins + 1)
    return _binned(confidence, right, edges)


def confidence_error(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return the expected calibration error of n confidences, given which of these answers are right."""
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return expected_calibration_error(
        _binned(np.asarray(confidence, np.float64), np.asarray(right, bool), edges)
    )


def _binned(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], edges: NDArray[np.float64]
) -> list[ReliabilityBin]:
    # Without the outer edges, a confidence that rounding puts just above the last one still counts.
    position = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(position, minlength=len(edges) - 1)
    confidence_sum = np.bincount(position, weights=confidence, minlength=len(count))
    right_sum = np.bincount(position, weights=right, minlength=len(count))
    return [
        ReliabilityBin(
            lower=float(edges[i]),
            upper=float(edges[i + 1]),
            count=int(count[i]),
            mean_confidence=float(confidence_sum[i] / count[i]) if count[i] else None,
            accuracy=float(right_sum[i] / count[i]) if count[i] else None,
        )
        for i in range(len(count))
    ]


def expected_calibration_error(bins: Iterable[ReliabilityBin]) -> float:
    """Return the mean gap between accuracy and confidence by images, 0 to 1 (Guo et al. 2017, equation 3)."""
    gaps, total = 0.0, 0
    for each in bins:
        if each.accuracy is not None and each.mean_confidence is not None:
            gaps += each.count * abs(each.accuracy - each.mean_confidence)
            total += each.count
    return gaps / total


def _top2_accuracy(truth: Positions, given: Probabilities) -> float:
    own = given[np.arange(len(truth)), truth][:, np.newaxis]
    above, level = (given > own).sum(axis=1), (given == own).sum(axis=1)
    return float(np.mean(np.clip((2 - above) / level, 0.0, 1.0)))


def _log_loss(truth: Positions, normalised: Probabilities) -> float:
    own = normalised[np.arange(len(truth)), truth]
    return float(np.mean(-np.log(np.clip(own, LOG_LOSS_FLOOR, 1.0)))) + 0.0  # -0.0 + 0.0 is 0.0


def _brier_score(truth: Positions, normalised: Probabilities) -> float:
    own = normalised[np.arange(len(truth)), truth]
    return float(np.mean(np.square(normalised).sum(axis=1) - own**2 + (1.0 - own) ** 2))


def _positions(labels: ArrayLike, classes: Sequence[int], kind: str) -> Positions:
    """Return the positions of labels in `classes`."""
    values = np.asarray(labels)
    if values.ndim != 1 or values.size == 0:
        raise DataError(
            f"The {kind} have shape {values.shape}: expected one label for each image, shape (n,)."
        )
    known = np.asarray(classes)
    if known.ndim != 1 or known.size == 0 or np.any(known[1:] <= known[:-1]):
        raise DataError(f"The classes {list(classes)} must be different labels in ascending order.")
    position = np.searchsorted(known, values).astype(np.int64)
    strange = known[np.minimum(position, known.size - 1)] != values
    if strange.any():
        raise DataError(
            f"The {kind} contain {values[strange][0]}, which is not one of the classes {list(classes)}."
        )
    return position


def _probabilities(probabilities: ArrayLike, n: int, k: int) -> Probabilities:
    """Return checked probabilities, not yet normalised."""
    given = np.asarray(probabilities, dtype=np.float64)
    if given.shape != (n, k):
        raise DataError(
            f"The probabilities have shape {given.shape}: expected {(n, k)}, one column for each class."
        )
    if not np.isfinite(given).all() or (given < 0).any():
        raise DataError(
            "The probabilities contain negative or non-finite values: expected numbers from 0 to 1."
        )
    if (np.abs(given.sum(axis=1) - 1) > ROW_SUM_TOLERANCE).any():
        raise DataError("The probabilities of an image do not sum to 1, even after rounding.")
    return given


def _check_lengths(truth: Positions, predicted: Positions) -> None:
    if truth.shape != predicted.shape:
        raise DataError(
            f"There are {len(predicted)} predictions for {len(truth)} images: expected one for each image."
        )
