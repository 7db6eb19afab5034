"""The report's tables of the ensemble of a run's models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.ensemble import Ensemble, stored_ensemble, vote
from mnistbench.analysis.tables import (
    Column,
    Table,
    accuracy_column,
    accuracy_values,
    seeds_column,
    text,
    worth_columns,
)
from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.runs.folder import RunFolder
from mnistbench.stats.accuracy import accuracy_estimate
from mnistbench.stats.groups import clustering
from mnistbench.text import count, percent, three_digits


@dataclass(frozen=True)
class SoftVote:
    """The ensemble's part of the report: the votes, their scores in one row, and the weight of each model."""

    ensemble: Ensemble
    result: Table
    members: Table


def soft_vote(
    folder: RunFolder,
    rows: Sequence[Configuration],
    truth: Labels | None,
    groups: EvaluationGroups | None,
    classes: Sequence[int],
) -> SoftVote | None:
    """Apply the ensemble that is kept in a run's folder to its predictions; None where there is none."""
    ensemble = stored_ensemble(folder)
    if ensemble is None or truth is None:
        return None
    found = vote(folder, ensemble, rows, truth, classes)
    if found is None:
        return None
    scores = list(found.by_seed.values())
    images = scores[0].test_count
    accuracy = accuracy_estimate(
        [score.error_count for score in scores],
        images,
        None if groups is None else clustering(found.correct, groups.ids),
    )
    frame = pd.DataFrame(
        [
            {
                "row": "ensemble",
                **accuracy_values(accuracy),
                "error_count": float(np.mean([score.error_count for score in scores])),
                "log_loss": float(np.mean([score.log_loss for score in scores])),
                "calibration_error": float(np.mean([score.calibration_error for score in scores])),
                "holdout_accuracy": ensemble.holdout_accuracy,
                "fit_seconds": found.fit_seconds,
            }
        ]
    )
    columns = (
        Column("row", "model", text, right=False),
        accuracy_column("accuracy, % (95 %: images)", images),
        *worth_columns(frame, images),
        seeds_column(images),
        Column("error_count", "wrong images", count),
        Column("log_loss", "log loss", three_digits),
        Column("holdout_accuracy", "hold-out accuracy, %", partial(percent, images=ensemble.holdout_images)),
        Column("fit_seconds", "fit of all members, s", three_digits),
    )
    result = Table("ensemble", "The ensemble of this run's models", frame, columns)
    return SoftVote(ensemble, result, _members(ensemble, {row.label: row for row in rows}, images))


def _members(ensemble: Ensemble, rows: Mapping[str, Configuration], images: int) -> Table:
    frame = pd.DataFrame(
        [
            {"row": each.model, "weight": each.weight, "accuracy": rows[each.model].accuracy}
            for each in ensemble.members
        ]
    )
    columns = (
        Column("row", "model", text, right=False),
        Column("weight", "weight", "{:.3f}".format),
        Column("accuracy", "accuracy alone, %", partial(percent, images=images)),
    )
    return Table("ensemble_members", "Members and their weights", frame, columns)
