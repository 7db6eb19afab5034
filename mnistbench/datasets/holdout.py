"""The hold-out: training images to choose settings on, so that the test images stay unseen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Arrays, Labels
from mnistbench.errors import DataError

LAST = "last"
STRATIFIED = "stratified"
HOLDOUTS = {
    LAST: "the last sixth of the training images",
    STRATIFIED: "a stratified sixth of the training images",
}
"""Each kind of hold-out, described so that it can follow "without"."""

# MNIST's last 10,000 training images, written by people who wrote none of the rest, are its last sixth.
_SHARE = 6
# Where the order is random, the last images hold between this part of each class's share and its inverse.
_LEAST_PROPORTION = 0.5


def holdout_count(train_count: int) -> int:
    """Return how many of the training images are held out."""
    return train_count // _SHARE


def choose_holdout(labels: Labels) -> str | None:
    """Return the kind of hold-out that suits these training labels; None if they are too few.

    It is the last sixth if each class has between half and twice its share of it, and some images in the
    rest. Otherwise the images are sorted in some way, and a sixth is drawn from each class.
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
    """Return the indices of the held-out training images, a sixth of them, ascending.

    Args:
        arrays: The data set.
        kind: One of `HOLDOUTS`. NumPy's `RandomState(0)`, a frozen stream (NEP 19), draws the stratified one,
            so that it is the same in every version.

    Raises:
        DataError: The kind is unknown, for example that of a later version.
    """
    if kind not in HOLDOUTS:
        raise DataError(f"the hold-out {kind!r} is unknown; this version supports {', '.join(HOLDOUTS)}.")
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
    """Divide `size` images among classes in proportion to their counts, at least one each, int64 (k,).

    Shares are rounded by largest remainder.

    Args:
        counts: Images of each class, (k,).
        size: Between k and their sum.
    """
    shares = counts * (size / counts.sum())
    quota: NDArray[np.int64] = np.maximum(np.floor(shares).astype(np.int64), 1)
    order = np.argsort(quota - shares, kind="stable")  # largest remainder first
    position = 0
    while quota.sum() < size:
        quota[order[position % len(order)]] += 1
        position += 1
    while quota.sum() > size:  # the largest classes make up for the minimum of the small ones
        quota[np.argmax(quota)] -= 1
    return quota
