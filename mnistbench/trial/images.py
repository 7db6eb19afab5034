"""The images of one trial in the form that its model receives."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets import open_arrays
from mnistbench.datasets.holdout import held_out_mask
from mnistbench.datasets.splits import split
from mnistbench.trial.request import Request


@dataclass(frozen=True)
class Images:
    """The images and labels that a model is trained and evaluated on.

    Attributes:
        x_train: float32, shape (n, height * width), from 0 to 1.
        y_train: int64, shape (n,), labels from 0 to k - 1.
        x_eval: float32, shape (m, height * width): the test images, or the hold-out.
        y_eval: int64, shape (m,).
        shape: Height and width in pixels.
    """

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_eval: NDArray[np.float32]
    y_eval: NDArray[np.int64]
    shape: tuple[int, int]


def load_images(request: Request, split_name: str, most_train: int | None = None) -> Images:
    """Return the images of a split, "test" or "validation", in new arrays, which the model may change.

    A split with fewer training images than the trial's size is used whole. At most `most_train` of the
    training images are loaded, evenly spaced.
    """
    arrays = open_arrays(request.arrays_folder)
    available = len(arrays.x_train)
    if split_name == "validation":
        available -= int(held_out_mask(arrays, request.holdout).sum())
    size = request.train_size if request.train_size is not None and request.train_size < available else None
    chosen = split(arrays, split_name, size, request.subset_seed, request.holdout)
    count = len(chosen.y_train)
    sample = (
        slice(None) if most_train is None else np.linspace(0, count - 1, min(most_train, count)).astype(int)
    )
    classes = np.asarray(request.classes)

    def encoded(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(classes, labels).astype(np.int64)

    return Images(
        x_train=scaled(chosen.x_train[sample]),
        y_train=encoded(chosen.y_train[sample]),
        x_eval=scaled(chosen.x_eval),
        y_eval=encoded(chosen.y_eval),
        shape=chosen.x_train.shape[1:],
    )


def scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images, shape (n, height, width), as rows of numbers from 0 to 1 in a new array."""
    rows = np.array(images, dtype=np.float32).reshape(len(images), math.prod(images.shape[1:]))
    rows /= 255
    return rows
