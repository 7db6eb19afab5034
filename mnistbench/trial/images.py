"""The images of one trial in the form that its model receives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets import open_arrays
from mnistbench.datasets.splits import Split, split
from mnistbench.datasets.synthetic import BLOCK, open_blocks
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


class Blocks:
    """A trial's training images on the disk, in blocks: those of its data set, then synthetic ones.

    It is a sequence of pairs like `Images.x_train` and `Images.y_train`, at most `BLOCK` long, in new arrays.
    """

    def __init__(
        self, parts: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]], classes: Sequence[int]
    ) -> None:
        """Take memory-mapped images, shape (n, height, width), and their labels, out of `classes`."""
        self._blocks = [
            (images[start : start + BLOCK], labels[start : start + BLOCK])
            for images, labels in parts
            for start in range(0, len(labels), BLOCK)
        ]
        self._classes = np.asarray(classes)
        self.count = sum(len(labels) for _, labels in self._blocks)

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._blocks)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return a block."""
        images, labels = self._blocks[index]
        return scaled(images), encoded(labels, self._classes)

    def rows(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return some of the images and labels, by their ascending numbers, in new arrays."""
        x = np.empty((len(chosen), math.prod(self._blocks[0][0].shape[1:])), np.float32)
        y, first = np.empty(len(chosen), np.int64), 0
        for images, labels in self._blocks:
            here = slice(*np.searchsorted(chosen, [first, first + len(labels)]))
            inside = chosen[here] - first
            x[here] = images[inside].reshape(len(inside), x.shape[1])
            y[here] = encoded(labels[inside], self._classes)
            first += len(labels)
        x /= 255
        return x, y


def open_images(request: Request) -> tuple[Split, Blocks]:
    """Return the images of a trial without loading them; those of the split are the data set's own."""
    arrays = open_arrays(request.arrays_folder)
    own = None if request.synthetic else request.train_size
    chosen = split(arrays, request.split, own, request.subset_seed, request.holdout)
    parts = [(chosen.x_train, chosen.y_train)]
    if request.synthetic:
        holdout = request.holdout if request.split == "validation" else None
        parts += open_blocks(Path(request.synthetic_folder), arrays, request.synthetic, holdout)
    return chosen, Blocks(parts, request.classes)


def load_images(request: Request, most_train: int | None = None) -> Images:
    """Return the images of a trial in new arrays, which the model may change.

    At most `most_train` of the training images are loaded, evenly spaced.
    """
    chosen, blocks = open_images(request)
    count = blocks.count if most_train is None else min(most_train, blocks.count)
    x_train, y_train = blocks.rows(np.linspace(0, blocks.count - 1, count).astype(np.int64))
    return Images(
        x_train=x_train,
        y_train=y_train,
        x_eval=scaled(chosen.x_eval),
        y_eval=encoded(chosen.y_eval, np.asarray(request.classes)),
        shape=chosen.x_train.shape[1:],
    )


def encoded(labels: NDArray[np.int64], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the labels as places among the sorted classes."""
    return np.searchsorted(classes, labels).astype(np.int64)


def scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images, shape (n, height, width), as rows of numbers from 0 to 1 in a new array."""
    rows = np.array(images, dtype=np.float32).reshape(len(images), math.prod(images.shape[1:]))
    rows /= 255
    return rows
