"""How the errors of each configuration fall on groups of images, such as those by one writer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnistbench.analysis.correctness import Correctness
from mnistbench.analysis.tables import Column, Table, text
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.runs.records import RunInfo
from mnistbench.stats.accuracy import accuracy_estimate
from mnistbench.stats.groups import Groups, clustering
from mnistbench.text import count, plural, with_interval

HARDEST_SHOWN = 6
IMAGES_OF_GROUP = 10
"""Images shown of each of the hardest groups."""


@dataclass(frozen=True)
class HardGroup:
    """A group that the configurations find hard."""

    # What it is, and its error, the mean over these: "writer 2134, students (18 % of 11 images)"; a group
    # that spans several strata is named without one.
    name: str
    images: tuple[int, ...]  # those misclassified most often, by their index among the evaluation images


@dataclass(frozen=True)
class GroupErrors:
    """The errors by group."""

    noun: str  # what a group is: "writer"
    count: int  # how many groups the images come in
    trained_on: int  # how many of them have images among the training images too
    result: Table  # one row a configuration
    frame: pd.DataFrame  # one row a configuration and group
    hardest: tuple[HardGroup, ...]  # most errors for their number of images, over all configurations


def group_errors(found: Mapping[str, Correctness], known: EvaluationGroups, info: RunInfo) -> GroupErrors:
    """Return how the errors of some configurations, of at least one, fall on the groups of the images."""
    groups = Groups.of(known.ids, len(known.ids))
    series = info.dataset.strata
    in_stratum = np.unique(np.stack([known.ids, known.strata]), axis=1)
    ids, first, spanned = np.unique(in_stratum[0], return_index=True, return_counts=True)
    strata = [
        series[in_stratum[1, at]] if series and many == 1 else None
        for at, many in zip(first, spanned, strict=True)
    ]
    # The mean over the seeds of each group's errors, (configurations, groups).
    errors = np.array([groups.sums(~each.correct).mean(axis=0) for each in found.values()])
    rates = errors.mean(axis=0) / groups.sizes
    noun = info.dataset.group_noun
    return GroupErrors(
        noun=noun,
        count=groups.count,
        trained_on=len(np.unique(known.ids[known.trained_on])),
        result=_result(found, known, groups, info),
        frame=pd.DataFrame(
            {
                "row": np.repeat(list(found), groups.count),
                "group": np.tile(ids, len(found)),
                "stratum": strata * len(found),
                "images": np.tile(groups.sizes, len(found)),
                "error_count": errors.ravel(),
            }
        ),
        hardest=tuple(
            HardGroup(
                name=f"{noun} {ids[which]}{f', {strata[which]}' if strata[which] else ''} "
                f"({100 * rates[which]:.0f} % of {plural(int(groups.sizes[which]), 'image')})",
                images=_hardest_images(found, groups.members == which),
            )
            for which in np.argsort(-rates, kind="stable")[:HARDEST_SHOWN]
            if rates[which] > 0
        ),
    )


def _hardest_images(found: Mapping[str, Correctness], mask: NDArray[np.bool_]) -> tuple[int, ...]:
    images = np.flatnonzero(mask)
    wrong = np.mean([1 - each.correct[:, mask].mean(axis=0) for each in found.values()], axis=0)
    return tuple(int(images[i]) for i in np.argsort(-wrong, kind="stable")[:IMAGES_OF_GROUP] if wrong[i] > 0)


def _result(
    found: Mapping[str, Correctness], known: EvaluationGroups, groups: Groups, info: RunInfo
) -> Table:
    """Tabulate the error in each stratum with its interval, and how unevenly the groups share the errors."""
    noun = info.dataset.group_noun
    strata = {name: known.strata == place for place, name in enumerate(info.dataset.strata)}
    strata = {name: mask for name, mask in strata.items() if mask.any()}
    rows = []
    for label, each in found.items():
        row: dict[str, object] = {"row": label}
        for name, mask in strata.items():
            row |= _error_in(name, each.correct[:, mask], known.ids[mask])
        errors = groups.sums(~each.correct)
        most = np.cumsum(np.sort(errors.sum(axis=0))[::-1])
        row["without"] = float((errors == 0).mean())
        row["half"] = int(np.searchsorted(most, most[-1] / 2) + 1) if most[-1] else None
        rows.append(row)
    columns = (
        Column("row", "model", text, right=False),
        *(_error_column(name, int(mask.sum())) for name, mask in strata.items()),
        Column("without", f"{noun}s without error, %", lambda share: f"{100 * share:.0f}"),
        Column("half", f"{noun}s with half of the errors", count),
    )
    return Table("by_group", "Misclassified images, mean over the seeds", pd.DataFrame(rows), columns)


def _error_in(name: str, correct: NDArray[np.bool_], ids: NDArray[np.int64]) -> dict[str, float]:
    wrong = (~correct).sum(axis=1).tolist()
    found = accuracy_estimate(wrong, correct.shape[1], clustering(correct, ids))
    low, high = 1 - found.sampling.high, 1 - found.sampling.low
    return {f"error {name}": 1 - found.mean, f"low {name}": low, f"high {name}": high}


def _error_column(name: str, images: int) -> Column:
    show = partial(with_interval, images=images)
    return Column(f"error {name}", f"{name}, % wrong (95 %)", show, beside=(f"low {name}", f"high {name}"))
