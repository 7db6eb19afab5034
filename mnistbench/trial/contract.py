"""Checks what an estimator returns against the part of scikit-learn's contract that a benchmark needs.

NumPy is imported where it is used, because `child` loads this before its process is pinned to its cores.
Tolerated deviations become the keys of `notes`, in order, each once. They are not Python warnings, which a
model may have silenced or turned into errors.
"""

from typing import Any

# Shares of images whose most probable class is not the predicted label. Platt scaling causes some:
# scikit-learn's SVC(probability=True), fitted to 100 of its digits, 6 %. Two swapped columns of ten: 20 %.
_MENTIONED_DISAGREEMENT = 0.01
_TOLERATED_DISAGREEMENT = 0.1


class ContractError(Exception):
    """An estimator returned something that violates scikit-learn's contract."""


def checked_estimator(estimator: Any) -> Any:
    """Return the result of `build`, which can be fitted and can predict.

    Raises:
        ContractError: A method is missing.
    """
    for method in ("fit", "predict"):
        if not callable(getattr(estimator, method, None)):
            raise ContractError(
                f"`build` returned a {type(estimator).__name__}, which has no method {method}"
            )
    return estimator


def checked_labels(labels: Any, count: int, class_count: int, notes: dict[str, None]) -> Any:
    """Return the result of `predict` as labels from 0 to k - 1, int64, shape (count,).

    A column (from CatBoost) and whole numbers as floats (from cuML) are accepted with a note.

    Raises:
        ContractError: It has another shape, does not consist of integers, or has a label that does not exist.
    """
    import numpy as np

    array = _as_array(labels, "predict")
    if array.shape == (count, 1):
        notes["predict returns labels of shape (n, 1); expected (n,)"] = None
        array = array[:, 0]
    if array.shape != (count,):
        raise ContractError(
            f"predict returned shape {array.shape}; expected ({count},), one label for each image"
        )
    if array.dtype.kind == "f" and np.array_equal(array, np.rint(array)) and np.isfinite(array).all():
        notes[f"predict returns whole numbers as {array.dtype}; expected integer labels"] = None
    elif array.dtype.kind not in "iu":
        raise ContractError(
            f"predict returned dtype {array.dtype}; expected integer labels, like those passed to fit"
        )
    if array.min() < 0 or array.max() >= class_count:
        wrong = array[(array < 0) | (array >= class_count)][0]
        raise ContractError(f"predict returned the label {wrong}, which was never passed to fit")
    return array.astype(np.int64)


def probabilities_of(
    estimator: Any, images: Any, encoded: Any, class_count: int, notes: dict[str, None]
) -> Any | None:
    """Return the checked probabilities of these images; None without a working `predict_proba`."""
    try:
        if not hasattr(estimator, "predict_proba"):
            return None
        probabilities = estimator.predict_proba(images)
    except (NotImplementedError, AttributeError) as error:
        reason = f"{type(error).__name__}: {one_line(error)[:200]}".removesuffix(": ")
        notes[f"no probabilities: predict_proba raised {reason}"] = None
        return None
    return checked_probabilities(probabilities, encoded, class_count, notes)


def checked_probabilities(probabilities: Any, encoded: Any, class_count: int, notes: dict[str, None]) -> Any:
    """Return the result of `predict_proba` as float64, shape (n, k); note disagreement with the labels.

    `encoded` is the result of `checked_labels` for the same images.

    Raises:
        ContractError: It has another shape, its rows are not probabilities, or the most probable class is not
            the predicted label for more than a tenth of the images.
    """
    import numpy as np

    array = _as_array(probabilities, "predict_proba")
    expected = (len(encoded), class_count)
    if array.shape != expected:
        raise ContractError(f"predict_proba returned shape {array.shape}; expected {expected}")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ContractError("predict_proba returned values that are not finite floating-point numbers")
    array = array.astype(np.float64)  # sums in half precision are too inexact to check
    if array.min() < 0 or array.max() > 1 + 1e-6 or np.abs(array.sum(axis=1) - 1).max() > 1e-3:
        raise ContractError("predict_proba returned rows that are not probabilities: each must sum to 1")
    best = array.max(axis=1)
    behind = array[np.arange(len(array)), encoded] < best - 1e-6
    disagreement = (
        f"predict and predict_proba disagree on {behind.sum()} of {len(array)} images: "
        "the predicted label is not the most probable class"
    )
    if behind.mean() > _TOLERATED_DISAGREEMENT:
        raise ContractError(disagreement)
    if behind.mean() > _MENTIONED_DISAGREEMENT:
        notes[disagreement] = None
    return array


def _as_array(values: Any, method: str) -> Any:
    import numpy as np

    try:
        return np.asarray(values)
    except Exception as error:  # rows of several lengths, a tensor on another device ...
        raise ContractError(
            f"{method} returned a {type(values).__name__} that is not an array: {error}"
        ) from error


def encodable(text: str) -> str:
    r"""Return text that every file and page takes: a lone surrogate becomes its escape, \\ud800."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(value: object) -> str:
    """Return what a model's library gave as text on one line; empty where it cannot be printed."""
    try:
        return encodable(" ".join(str(value).split()))
    except Exception:  # an exception's own __str__ may raise anything
        return ""
