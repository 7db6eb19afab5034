"""Training on one data set and testing on another, where nobody wrote images of both.

Data sets of which that is wrong, or not known, are a UsageError.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mnistbench.datasets import cache as array_cache
from mnistbench.datasets.arrays import Arrays, DatasetInfo, assemble
from mnistbench.datasets.holdout import choose_holdout, held_out_count
from mnistbench.datasets.named import Named
from mnistbench.errors import UsageError
from mnistbench.text import command, plural

ARROW = "->"
"""What stands between the two names, as in "mnist->qmnist-lost"."""


def transfer(train: DatasetInfo, test: DatasetInfo, cache: Path) -> DatasetInfo:
    """Put the training images of one data set and the test images of another into the cache as one.

    Raises:
        UsageError: The two differ in their classes or sizes, or may share writers.
        DataError: The cache cannot be written.
    """
    what = f"--train-on {train.name} --test-on {test.name}"
    if train.class_names != test.class_names or not set(test.classes) <= set(train.classes):
        raise UsageError(f"{what}: they have different classes.")
    if train.image_shape != test.image_shape:
        raise UsageError(f"{what}: their images differ in size.")
    ours, theirs = (array_cache.open_arrays(info.arrays_folder) for info in (train, test))
    overlap = _checked_overlap(train, test, ours, theirs)
    arrays = assemble(
        f"{train.name}{ARROW}{test.name}",
        x_train=ours.x_train,
        y_train=ours.y_train,
        x_test=theirs.x_test,
        y_test=theirs.y_test,
    )
    if ours.groups is not None and theirs.groups is not None and train.group_noun == test.group_noun:
        groups = np.concatenate([ours.groups[: len(ours.y_train)], theirs.groups[len(theirs.y_train) :]])
        arrays = replace(arrays, groups=groups)
    name, sha256 = f"{train.name}-to-{test.name}", arrays.sha256()
    folder = cache / array_cache.own_folder_name(name, sha256, arrays.groups_sha256())
    source = f"{train.source} (training), {test.source} (test)"
    if array_cache.verified_arrays(folder, sha256, arrays.groups_sha256()) is None:
        array_cache.store(arrays, folder, source)
    holdout = choose_holdout(arrays)
    return replace(
        test,
        name=name,
        title=f"{train.title}, tested on {test.title}",
        source=source,
        licence=" and ".join(dict.fromkeys([train.licence, test.licence])),
        sha256=sha256,
        classes=train.classes,
        train_count=train.train_count,
        arrays_folder=str(folder),
        holdout=holdout,
        holdout_count=held_out_count(arrays, holdout),
        groups_sha256=arrays.groups_sha256(),
        strata=test.strata if arrays.groups is not None else (),
        overlap=overlap,
    )


def refuse_unknown_writers(train: Named | DatasetInfo, test: Named | DatasetInfo) -> None:
    """Refuse data sets by the same people where it is not known who of them made each image."""
    if train.people and train.people == test.people and not train.group_noun == test.group_noun == "writer":
        raise UsageError(
            f"--train-on {train.name} --test-on {test.name}: both are by {train.people}, and who wrote each "
            "image is not known of both, so the test images may be by writers who are trained on."
        )


def _checked_overlap(train: DatasetInfo, test: DatasetInfo, ours: Arrays, theirs: Arrays) -> str:
    """Say what was checked so that no writer of a test image also wrote training images."""
    if not train.people or not test.people:
        return f"Whether {train.title} and {test.title} share writers was not checked: they are not known."
    if train.people != test.people:
        return f"{train.title} and {test.title} are from different sources: {train.people}, {test.people}."
    refuse_unknown_writers(train, test)
    what = f"--train-on {train.name} --test-on {test.name}"
    if ours.groups is None or theirs.groups is None:
        raise UsageError(
            f"{what}: the cache does not say who wrote each image; run `{command('fetch')}` to find out."
        )
    wrote = theirs.groups[len(theirs.y_train) :, 0]
    shared = np.isin(wrote, ours.groups[: len(ours.y_train), 0])
    if shared.any():
        count = plural(len(np.unique(wrote[shared])), "writer")
        raise UsageError(
            f"{what}: {count} of the test images also wrote training images, so the result would be too good."
        )
    return f"None of the {len(np.unique(wrote)):,} writers of the test images wrote a training image."
