"""The images that a trial trains on, and those that it is evaluated on."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Arrays, Images, Labels
from mnistbench.datasets.holdout import LAST, held_out_mask, quotas
from mnistbench.errors import UsageError

Indices: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images and labels of one trial."""

    x_train: Images
    y_train: Labels
    x_eval: Images  # the test images, or the held-out images
    y_eval: Labels


def evaluation_labels(arrays: Arrays, name: str, holdout: str = LAST) -> Labels:
    """Return the true labels of the images that "test" or "validation" is evaluated on."""
    return arrays.y_train[held_out_mask(arrays, holdout)] if name == "validation" else arrays.y_test


def evaluation_images(arrays: Arrays, name: str, holdout: str = LAST) -> Images:
    """Return the images that a trial is evaluated on; the arguments are those of `evaluation_labels`."""
    return arrays.x_train[held_out_mask(arrays, holdout)] if name == "validation" else arrays.x_test


@dataclass(frozen=True, eq=False)
class EvaluationGroups:
    """The groups of the images that a run is evaluated on, such as their writers."""

    ids: Labels  # int64 (n,), the group of each image
    strata: Labels  # int64 (n,), its stratum, an index of `DatasetInfo.strata`; 0 without strata
    trained_on: NDArray[np.bool_]  # bool (n,), whether training images are of that group, too


def evaluation_groups(arrays: Arrays, name: str, holdout: str = LAST) -> EvaluationGroups | None:
    """Return the groups of the images that "test" or "validation" is evaluated on; None if unknown."""
    if arrays.groups is None:
        return None
    training, test = arrays.groups[: len(arrays.y_train)], arrays.groups[len(arrays.y_train) :]
    if name == "validation":
        held = held_out_mask(arrays, holdout)
        training, test = training[~held], training[held]
    ids, strata = np.array(test[:, 0]), np.array(test[:, 1])
    return EvaluationGroups(ids, strata, np.isin(ids, training[:, 0]))


def split(arrays: Arrays, name: str, train_size: int | None, seed: int, holdout: str = LAST) -> Split:
    """Choose the images of a trial.

    Args:
        arrays: The whole data set.
        name: "test" evaluates on the test images. "validation" evaluates on held-out training images and
            trains on the rest, so that settings can be chosen without the test images.
        train_size: Number of training images to draw, stratified by class; None for all.
        seed: The seed of the draw.
        holdout: The kind of hold-out, as `datasets.holdout` names them.

    Raises:
        UsageError: The training size is below the number of classes or above the number of images, or no
            images can be held out, or the hold-out has a class that the rest lacks.
    """
    x_train, y_train, x_eval, y_eval = arrays.x_train, arrays.y_train, arrays.x_test, arrays.y_test
    if name == "validation":
        mask = held_out_mask(arrays, holdout)
        held, kept = np.flatnonzero(mask), np.flatnonzero(~mask)
        missing = np.setdiff1d(y_train[held], y_train[kept])
        if len(held) == 0 or len(missing):
            raise UsageError("there are too few training images to hold out some of each class.")
        x_eval, y_eval = _rows(x_train, held), y_train[held]
        x_train, y_train = _rows(x_train, kept), y_train[kept]
    if train_size is not None and train_size != len(x_train):
        chosen = stratified_subset(y_train, train_size, seed)
        x_train, y_train = x_train[chosen], y_train[chosen]
    return Split(x_train, y_train, x_eval, y_eval)


def _rows(images: Images, indices: Indices) -> Images:
    """Return the images at ascending indices; a view, which takes no memory, if these are consecutive."""
    first, last = int(indices[0]), int(indices[-1])
    return images[first : last + 1] if last - first + 1 == len(indices) else images[indices]


def stratified_subset(y: Labels, size: int, seed: int) -> Indices:
    """Draw `size` indices without replacement, each class in proportion (at least once), ascending.

    Shares are rounded by largest remainder. The subsets of one seed are nested: a larger one holds a smaller
    one if each class's share of it is larger by an image or more, so that rounding leaves none out.

    Raises:
        UsageError: `size` is below the number of classes or above the number of labels.
    """
    classes, counts = np.unique(y, return_counts=True)
    if not len(classes) <= size <= len(y):
        raise UsageError(
            f"a training size of {size} is out of range: this data set allows {len(classes)} "
            f"(one image per class) to {len(y)}."
        )
    draw = np.random.default_rng(seed)
    chosen = [
        draw.permutation(np.flatnonzero(y == label))[:quota]
        for label, quota in zip(classes, quotas(counts, size), strict=True)
    ]
    return np.sort(np.concatenate(chosen))
