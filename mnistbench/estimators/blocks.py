"""Training by blocks of images that are read from the disk in turn, for more of them than fit into memory.

A classifier learns by blocks if it has a method `fit_blocks(blocks)`, or scikit-learn's `partial_fit`, which
then gets each block once. In a pipeline that is its last step. The steps before it are fitted to the first
block alone, which is a random part of the data set's own images, and change each block as it is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from mnistbench.estimators.arrays import Labels, Rows


class Blocks(Protocol):
    """Training images in blocks, each in random order and read when it is asked for.

    Attributes:
        sizes: Number of images in each block.
        class_count: The labels are from 0 to this, exclusive.
    """

    @property
    def sizes(self) -> Sequence[int]: ...  # noqa: D102 - see the class

    @property
    def class_count(self) -> int: ...  # noqa: D102 - see the class

    def __getitem__(self, number: int) -> tuple[Rows, Labels]:
        """Return the images, shape (n, d), and the labels, shape (n,), of a block, in new arrays."""


@dataclass(frozen=True, eq=False)
class OneBlock:
    """All images in memory, as a block; its arrays are not new ones."""

    images: Rows
    labels: Labels
    class_count: int

    @property
    def sizes(self) -> Sequence[int]:
        """Number of images, alone."""
        return [len(self.images)]

    def __getitem__(self, number: int) -> tuple[Rows, Labels]:
        """Return the images and labels."""
        return self.images, self.labels


@dataclass(frozen=True)
class PreparedBlocks:
    """Blocks whose rows are changed when they are read."""

    blocks: Blocks
    prepare: Callable[[Rows], Rows]

    @property
    def sizes(self) -> Sequence[int]:
        """Number of images in each block."""
        return self.blocks.sizes

    @property
    def class_count(self) -> int:
        """Number of classes."""
        return self.blocks.class_count

    def __getitem__(self, number: int) -> tuple[Rows, Labels]:
        """Return the rows and labels of a block."""
        rows, labels = self.blocks[number]
        return self.prepare(rows), labels


def learns_by_blocks(estimator: Any) -> bool:
    """Return whether `fit_by_blocks` can train an estimator."""
    if hasattr(estimator, "steps"):
        from sklearn.pipeline import Pipeline  # slow to load, and in vain for what is none

        # A subclass may do more in `fit` than its steps do, such as making copies of the images.
        if isinstance(estimator, Pipeline):
            return type(estimator) is Pipeline and learns_by_blocks(estimator[-1])
    return hasattr(estimator, "fit_blocks") or hasattr(estimator, "partial_fit")


def fit_by_blocks(estimator: Any, blocks: Blocks) -> None:
    """Train an estimator that learns by blocks."""
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        transformers = [step for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
        rows, labels = blocks[0]
        for transformer in transformers:
            rows = transformer.fit_transform(rows, labels)
        del rows
        fit_by_blocks(estimator[-1], PreparedBlocks(blocks, partial(_transformed, transformers)))
    elif hasattr(estimator, "fit_blocks"):
        estimator.fit_blocks(blocks)
    else:
        classes = np.arange(blocks.class_count)
        for number in range(len(blocks.sizes)):
            estimator.partial_fit(*blocks[number], classes=classes)


def _transformed(transformers: Sequence[Any], rows: Rows) -> Rows:
    for transformer in transformers:
        rows = transformer.transform(rows)
    return rows
