"""The images of one trial in the form that its model receives."""

import math
import mmap
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
        self,
        parts: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]],
        classes: Sequence[int],
    ) -> None:
        """Take parts: memory-mapped images, shape (n, height, width), their labels, and an order of them."""
        self._blocks = [
            (images, labels, order[start : start + BLOCK])
            for images, labels, order in parts
            for start in range(0, len(order), BLOCK)
        ]
        self._classes = np.asarray(classes)
        self.sizes = [len(order) for _, _, order in self._blocks]
        self.class_count = len(self._classes)
        self.count = sum(self.sizes)

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return a block."""
        images, labels, order = self._blocks[number]
        block = scaled(images[order])
        _let_go(images)
        return block, encoded(labels[order], self._classes)

    def rows(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return some of the images and labels, by their ascending numbers, in new arrays."""
        x = np.empty((len(chosen), math.prod(self._blocks[0][0].shape[1:])), np.float32)
        y, first = np.empty(len(chosen), np.int64), 0
        for images, labels, order in self._blocks:
            here = slice(*np.searchsorted(chosen, [first, first + len(order)]))
            inside = order[chosen[here] - first]
            x[here] = images[inside].reshape(len(inside), x.shape[1])
            y[here] = encoded(labels[inside], self._classes)
            first += len(order)
        x /= 255
        return x, y


def _let_go(images: NDArray[np.uint8]) -> None:
    """Drop the pages that were read of a memory-mapped file: they would count as this process's memory."""
    mapped = getattr(images, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def open_images(request: Request) -> tuple[Split, Blocks]:
    """Return the images of a trial without loading them; those of the split are the data set's own."""
    arrays = open_arrays(request.arrays_folder)
    own = None if request.synthetic else request.train_size
    chosen = split(arrays, request.split, own, request.subset_seed, request.holdout)
    order = np.arange(len(chosen.y_train))
    parts = [(chosen.x_train, chosen.y_train, order)]
    if request.synthetic:
        np.random.RandomState(0).shuffle(
            order
        )  # a data set may be sorted, and a block is to have all classes
        holdout = request.holdout if request.split == "validation" else None
        made = open_blocks(Path(request.synthetic_folder), arrays, request.synthetic, holdout)
        parts += [(images, labels, np.arange(len(labels))) for images, labels in made]
    return chosen, Blocks(parts, request.classes)


def load_training(request: Request) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return all training images and labels of a trial in new arrays."""
    blocks = open_images(request)[1]
    return blocks.rows(np.arange(blocks.count))


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
