"""Which images a trial trains on and which it is judged by."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistbench.datasets import Arrays
from mnistbench.datasets.holdout import LAST, holdout_indices, quotas
from mnistbench.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Split:
    """Images and labels of one trial.

    Attributes:
        x_train: uint8, shape (n, height, width).
        y_train: int64, shape (n,), the data set's own labels.
        x_eval: uint8, shape (m, height, width): the test images, or the validation images.
        y_eval: int64, shape (m,).
    """

    x_train: Array
    y_train: Array
    x_eval: Array
    y_eval: Array


def evaluation_labels(arrays: Arrays, name: str, holdout: str = LAST) -> Array:
    """Return the true labels of the images that a trial is judged by, int64, shape (m,).

    Args:
        arrays: The whole data set.
        name: "test", or "validation" for the hold-out.
        holdout: The kind of hold-out.
    """
    return arrays.y_train[holdout_indices(arrays, holdout)] if name == "validation" else arrays.y_test


def split(arrays: Arrays, name: str, train_size: int | None, seed: int, holdout: str = LAST) -> Split:
    """Choose the images of a trial.

    Args:
        arrays: The whole data set.
        name: "test" judges by the test images. "validation" judges by held-out training images and trains on
            the rest, so that settings can be chosen without the test images.
        train_size: How many training images to draw, stratified by class; None for all.
        seed: The seed of the draw.
        holdout: The kind of hold-out, one of `datasets.holdout.HOLDOUTS`.

    Raises:
        UsageError: The training size is below the number of classes or above what there is, or there are no
            images to hold out, or they show a class that the rest lacks.
    """
    x_train, y_train, x_eval, y_eval = arrays.x_train, arrays.y_train, arrays.x_test, arrays.y_test
    if name == "validation":
        held = holdout_indices(arrays, holdout)
        kept = np.setdiff1d(np.arange(len(y_train)), held)
        missing = np.setdiff1d(y_train[held], y_train[kept])
        if len(held) == 0 or len(missing):
            raise UsageError("the training images are too few to hold some of each class out.")
        x_eval, y_eval = _rows(x_train, held), y_train[held]
        x_train, y_train = _rows(x_train, kept), y_train[kept]
    if train_size is not None and train_size != len(x_train):
        chosen = stratified_subset(y_train, train_size, seed)
        x_train, y_train = x_train[chosen], y_train[chosen]
    return Split(x_train, y_train, x_eval, y_eval)


def _rows(images: Array, indices: Array) -> Array:
    """Return some images, of rising indices: a view where they follow one another, which takes no memory."""
    first, last = int(indices[0]), int(indices[-1])
    return images[first : last + 1] if last - first + 1 == len(indices) else images[indices]


def stratified_subset(y: Array, size: int, seed: int) -> Array:
    """Draw `size` indices without replacement, each class in its share (at least once), in rising order.

    Shares are rounded by largest remainder.

    Raises:
        UsageError: `size` is below the number of classes or above the number of labels.
    """
    classes, counts = np.unique(y, return_counts=True)
    if not len(classes) <= size <= len(y):
        raise UsageError(
            f"a training size of {size} is out of range: this data set takes {len(classes)} "
            f"(one image a class) to {len(y)}."
        )
    draw = np.random.default_rng(seed)
    chosen = [
        draw.choice(np.flatnonzero(y == label), size=quota, replace=False)
        for label, quota in zip(classes, quotas(counts, size), strict=True)
    ]
    return np.sort(np.concatenate(chosen))
