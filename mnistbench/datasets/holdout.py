"""The hold-out: training images that judge settings, so that the test images need not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Arrays
from mnistbench.errors import DataError

LAST = "last"
STRATIFIED = "stratified"
HOLDOUTS = {
    LAST: "the last sixth of the training images",
    STRATIFIED: "a stratified sixth of the training images",
}
"""Each kind of hold-out, in words that can follow "without"."""

# MNIST's last 10,000 training images, written by people who wrote none of the rest, are its last sixth.
_SHARE = 6
# A class of an accidental order has this part of its share among the last images, up to its inverse.
_LEAST_PROPORTION = 0.5


def holdout_count(train_count: int) -> int:
    """Return how many of the training images are held out."""
    return train_count // _SHARE


def choose_holdout(labels: NDArray[np.int64]) -> str | None:
    """Return the kind of hold-out that suits training images, None where they are too few for any.

    It is the last sixth where each class has between half and twice its share of it, and some images among
    the rest; else the order of the images is no accident, and a sixth is drawn from each class.

    Args:
        labels: The training labels, (n,).
    """
    _, encoded, counts = np.unique(labels, return_inverse=True, return_counts=True)
    held = holdout_count(len(labels))
    if held < len(counts) or counts.min() < 2:
        return None
    last = np.bincount(encoded[len(labels) - held :], minlength=len(counts))
    shares = counts * (held / len(labels))
    fair = (last >= _LEAST_PROPORTION * shares) & (last <= shares / _LEAST_PROPORTION)
    return LAST if (fair & (last > 0) & (last < counts)).all() else STRATIFIED


def holdout_indices(arrays: Arrays, kind: str) -> NDArray[np.int64]:
    """Return which training images are held out, rising: a sixth of them.

    Args:
        arrays: The data set.
        kind: One of `HOLDOUTS`. What is drawn is drawn by NumPy's `RandomState(0)`, a frozen stream (NEP 19),
            so that a hold-out is the same in every version.

    Raises:
        DataError: The kind is unknown, such as that of a run made by a later version.
    """
    if kind not in HOLDOUTS:
        raise DataError(f"the hold-out {kind!r} is unknown; this version knows {', '.join(HOLDOUTS)}.")
    labels = arrays.y_train
    held = holdout_count(len(labels))
    if kind == LAST:
        return np.arange(len(labels) - held, len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    random = np.random.RandomState(0)
    drawn = [
        random.permutation(np.flatnonzero(labels == label))[:quota]
        for label, quota in zip(classes, quotas(counts, held), strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def quotas(counts: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Share `size` images out among classes by their counts, at least one to each.

    Shares are rounded by largest remainder.

    Args:
        counts: Images of each class, (k,).
        size: Between k and their sum.
    """
    shares = counts * (size / counts.sum())
    given: NDArray[np.int64] = np.maximum(np.floor(shares).astype(np.int64), 1)
    order = np.argsort(given - shares, kind="stable")  # largest remainder first
    position = 0
    while given.sum() < size:
        given[order[position % len(order)]] += 1
        position += 1
    while given.sum() > size:  # the "at least once" of small classes is paid by the largest
        given[np.argmax(given)] -= 1
    return given
