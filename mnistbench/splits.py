"""Which images a trial trains on and which it is judged by."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistbench.datasets import Arrays
from mnistbench.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

# MNIST's last 10,000 training images, written by people who wrote none of the rest, are its last sixth.
_VALIDATION_SHARE = 6


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


def validation_count(train_count: int) -> int:
    """Return how many of the training images, the last ones, the validation split is judged by."""
    return train_count // _VALIDATION_SHARE


def evaluation_labels(arrays: Arrays, name: str) -> Array:
    """Return the true labels of the images that a trial on this split is judged by, int64, shape (m,)."""
    if name == "validation":
        return arrays.y_train[len(arrays.y_train) - validation_count(len(arrays.y_train)) :]
    return arrays.y_test


def split(arrays: Arrays, name: str, train_size: int | None, seed: int) -> Split:
    """Choose the images of a trial.

    Args:
        arrays: The whole data set.
        name: "test" judges by the test images. "validation" judges by the last sixth of the training
            images and trains on the rest, so that settings can be chosen without the test images.
        train_size: How many training images to draw, stratified by class; None for all.
        seed: The seed of the draw.

    Raises:
        UsageError: The training size is below the number of classes or above what there is, or there
            are no validation images, or they hold a class that the rest lacks.
    """
    x_train, y_train, x_eval = arrays.x_train, arrays.y_train, arrays.x_test
    y_eval = evaluation_labels(arrays, name)
    if name == "validation":
        if len(y_eval) == 0:
            raise UsageError(
                f"{len(x_train)} training images are too few for --validation: it takes the last sixth."
            )
        border = len(x_train) - len(y_eval)
        x_eval = x_train[border:]
        x_train, y_train = x_train[:border], y_train[:border]
        missing = np.setdiff1d(y_eval, y_train)
        if len(missing):
            raise UsageError(
                f"the last sixth of the training images holds class {missing[0]}, which the rest lacks: "
                "shuffle the data set's training images to use --validation."
            )
    if train_size is not None and train_size != len(x_train):
        chosen = stratified_subset(y_train, train_size, seed)
        x_train, y_train = x_train[chosen], y_train[chosen]
    return Split(x_train, y_train, x_eval, y_eval)


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
    shares = counts * (size / len(y))
    quotas = np.maximum(np.floor(shares).astype(int), 1)
    order = np.argsort(quotas - shares, kind="stable")  # largest remainder first
    position = 0
    while quotas.sum() < size:
        quotas[order[position % len(order)]] += 1
        position += 1
    while quotas.sum() > size:  # the "at least once" of small classes is paid by the largest
        quotas[np.argmax(quotas)] -= 1
    draw = np.random.default_rng(seed)
    chosen = [
        draw.choice(np.flatnonzero(y == label), size=quota, replace=False)
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))
