"""The hold-out: training images to choose settings on, so that the test images stay unseen."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Arrays, DatasetInfo
from mnistbench.errors import DataError

LAST = "last"
STRATIFIED = "stratified"
OWN = "last-"  # followed by the number of images
_BY_GROUP = "groups-"  # followed by the first digits of the groups' SHA-256, as it depends on them
_SIXTH = re.compile(
    rf"(?P<kind>{LAST}|{STRATIFIED}|{_BY_GROUP}(?P<sha256>[0-9a-f]+))(?:\.(?P<number>[1-5]))?"
)

# As MNIST's last 10,000 training images, which most studies hold out, are its last sixth.
_SHARE = 6
# Where the order is random, the last images hold between this part of each class's share and its inverse.
_LEAST_PROPORTION = 0.5


def described(kind: str, group_noun: str = "group") -> str:
    """Return words for a kind of hold-out that can follow "without"."""
    if own := re.fullmatch(rf"{OWN}(\d+)", kind):
        return f"the last {int(own[1]):,} training images, which the data set itself holds out"
    if not (sixth := _SIXTH.fullmatch(kind)):
        return kind
    words = {
        LAST: "the last sixth of the training images",
        STRATIFIED: "a stratified sixth of the training images",
    }
    by_group = f"whole {group_noun}s with about a sixth of the training images"
    which = f", number {sixth['number']} beside the first" if sixth["number"] else ""
    return words.get(sixth["kind"], by_group) + which


def other_holdout(kind: str, number: int) -> str:
    """Return another hold-out of the same kind: no two of the numbers from 0 to 5 share images; 0 is `kind`.

    Raises:
        DataError: There is no such number, or the data set itself says which images are held out.
    """
    if number and not _SIXTH.fullmatch(f"{kind}.{number}"):
        raise DataError(
            f"there is no hold-out {number} beside {described(kind)}: there are {_SHARE} in all, one where "
            "the data set itself holds images out."
        )
    return f"{kind}.{number}" if number else kind


def choose_holdout(arrays: Arrays) -> str | None:
    """Return the kind of hold-out that suits these training images; None if they are too few.

    Where groups are known, it is whole groups. Else it is the last sixth if each class has between half and
    twice its share of it, and some images in the rest. Otherwise the images are sorted in some way, and a
    sixth is drawn from each class.
    """
    labels = arrays.y_train
    _, encoded, counts = np.unique(labels, return_inverse=True, return_counts=True)
    held = len(labels) // _SHARE
    if held < len(counts) or counts.min() < 2:
        return None
    if arrays.groups is not None:
        kind = f"{_BY_GROUP}{str(arrays.groups_sha256())[:12]}"
        last = np.bincount(encoded[held_out_mask(arrays, kind)], minlength=len(counts))
        return kind if ((last > 0) & (last < counts)).all() else None
    last = np.bincount(encoded[len(labels) - held :], minlength=len(counts))
    shares = counts * (held / len(labels))
    fair = (last >= _LEAST_PROPORTION * shares) & (last <= shares / _LEAST_PROPORTION)
    return LAST if (fair & (last > 0) & (last < counts)).all() else STRATIFIED


def holdout_count(dataset: DatasetInfo, kind: str) -> int:
    """Return how many of a data set's training images a kind of hold-out takes."""
    if kind == dataset.holdout and dataset.holdout_count is not None:
        return dataset.holdout_count
    return dataset.train_count // _SHARE


def held_out_count(arrays: Arrays, kind: str | None) -> int | None:
    """Return how many training images a kind of hold-out takes; None for no hold-out."""
    return None if kind is None else int(held_out_mask(arrays, kind).sum())


def held_out_mask(arrays: Arrays, kind: str) -> NDArray[np.bool_]:
    """Return which training images are held out, bool (n,).

    NumPy's `RandomState(0)`, a frozen stream (NEP 19), draws them, so every version draws the same.

    Raises:
        DataError: The kind is unknown, for example that of a later version, or the groups that it was drawn
            from are not those of the data set.
    """
    labels = arrays.y_train
    held = len(labels) // _SHARE
    mask = np.zeros(len(labels), dtype=np.bool_)
    if own := re.fullmatch(rf"{OWN}(\d+)", kind):
        mask[len(labels) - int(own[1]) :] = True
        return mask
    if not (sixth := _SIXTH.fullmatch(kind)):
        raise DataError(
            f"the hold-out {kind!r} is unknown; this version supports {LAST}, {STRATIFIED} and whole groups."
        )
    number = int(sixth["number"] or 0)
    if sixth["sha256"]:
        digest = arrays.groups_sha256()
        if arrays.groups is None or digest is None or not digest.startswith(sixth["sha256"]):
            raise DataError(
                "the hold-out is of whole groups, and the groups of the images are missing or have changed: "
                "fetch the data set again with the files that name them, or start a new run."
            )
        groups = arrays.groups[: len(labels)]
        mask = np.isin(groups[:, 0], _drawn_groups(groups, number))
    elif sixth["kind"] == LAST:
        end = len(labels) - number * held
        mask[end - held : end] = True
    else:
        classes, counts = np.unique(labels, return_counts=True)
        random = np.random.RandomState(0)
        for label, quota in zip(classes, quotas(counts, held), strict=True):
            members = random.permutation(np.flatnonzero(labels == label))
            mask[members[number * quota : (number + 1) * quota]] = True
    return mask


def _drawn_groups(groups: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Draw groups with about a sixth of each stratum's images.

    Each stratum's groups are put into random order and cut where the images before the cut are nearest to
    one sixth, two sixths and so on.
    """
    random = np.random.RandomState(0)
    drawn = []
    for stratum in np.unique(groups[:, 1]):
        ids, counts = np.unique(groups[groups[:, 1] == stratum, 0], return_counts=True)
        order = random.permutation(len(ids))
        sums = np.concatenate([[0], np.cumsum(counts[order])])
        first, last = (
            np.argmin(np.abs(sums - counts.sum() / _SHARE * sixths)) for sixths in (number, number + 1)
        )
        drawn.append(ids[order[first:last]])
    return np.concatenate(drawn)


def quotas(counts: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Divide `size` images, at least k, among k classes in proportion to their counts, int64 (k,).

    Each gets at least one. Shares are rounded by largest remainder.
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
