"""What each model is worth on corrupted, shifted, rotated and noisy copies of the images."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.tables import Column, Table, text
from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.corruptions import CORRUPTIONS, Condition, conditions
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import OnCopies, Predictions
from mnistbench.runs.records import RunInfo
from mnistbench.stats.scores import confidence_error
from mnistbench.text import percent, three_digits

KINDS = tuple(kind for kind, corruption in CORRUPTIONS.items() if corruption.level is not None)
"""The kinds of MNIST-C, each at the authors' severity."""

SHIFTS = tuple(kind for kind in CORRUPTIONS if kind not in KINDS)
"""The shifts by degrees."""

IMAGES_SHOWN = 5


@dataclass(frozen=True)
class Worst:
    """The kind of corruption that a configuration errs under most."""

    label: str  # the configuration
    condition: Condition
    error: float  # its share of errors there, the mean over the seeds
    images: tuple[int, ...]  # some that the fit of the first seed gets right, but not their copy; ascending
    predicted: tuple[int, ...]  # what it takes each copy for

    @property
    def title(self) -> str:
        """The kind's name for readers."""
        return CORRUPTIONS[self.condition.kind].title


@dataclass(frozen=True)
class Robustness:
    """The results of the measurement `robustness`."""

    result: Table  # one row a configuration
    frame: pd.DataFrame  # a row a configuration and condition, clean images first: means over the seeds
    worst: Sequence[Worst]  # one for each configuration

    def errors(self) -> pd.DataFrame:
        """Return the share of errors by configuration (rows) and kind (columns), images themselves first."""
        return self._by("error", [("none", 0), *((c.kind, c.level) for c in _kinds())])

    def along(self, kind: str, score: str) -> pd.DataFrame:
        """Return a score by configuration (rows) and level (columns) of a shift, where there is one."""
        levels = [("none", 0), *((kind, level) for level in CORRUPTIONS[kind].settings)]
        found = self._by(score, levels).dropna()
        return found.set_axis([level for _, level in levels], axis=1)

    def _by(self, score: str, columns: Sequence[tuple[str, float]]) -> pd.DataFrame:
        wide = self.frame.pivot_table(score, "row", ["condition", "level"], sort=False, dropna=False)
        return wide.reindex(columns=pd.MultiIndex.from_tuples(columns))


def robustness(
    folder: RunFolder, info: RunInfo, rows: Sequence[Configuration], truth: Labels | None
) -> Robustness | None:
    """Score the stored predictions of copies; None where there are none.

    Errors are compared with those of the first model of the plan. Left out is a configuration whose
    predictions are missing, damaged, incomplete or of other images, for any seed.
    """
    described: list[dict[str, object]] = []
    worst: list[Worst] = []
    names = {condition.name for condition in conditions()}
    for row in rows:
        if truth is None or not any(record.copies_sha256 for record in row.measurements):
            continue
        try:
            fits = [folder.predictions(record.trial.id) for record in row.by_seed]
        except (OSError, ValueError):
            continue
        if not fits or any(len(fit.labels) != len(truth) or not names <= set(fit.on_copies) for fit in fits):
            continue
        own = [_clean(row), *(_under(row, each, fits, truth) for each in conditions())]
        described += own
        worst.append(_worst(row.label, pd.DataFrame(own), fits[0], truth))
    if not described or truth is None:
        return None
    frame = pd.DataFrame(described)
    first = [row.label for row in rows if row.model == info.trials[0].model]
    return Robustness(_summary(frame, first, worst, len(truth)), frame, worst)


def _clean(row: Configuration) -> dict[str, object]:
    found = [record.quality for record in row.by_seed if record.quality is not None]
    return {
        **_described(row, Condition("none", 0), "none", ""),
        "error": _mean([1 - each.accuracy for each in found]),
        "log_loss": _mean([each.log_loss for each in found]),
        "calibration_error": _mean([each.calibration_error for each in found]),
    }


def _under(
    row: Configuration, condition: Condition, fits: Sequence[Predictions], truth: Labels
) -> dict[str, object]:
    corruption = CORRUPTIONS[condition.kind]
    found = [fit.on_copies[condition.name] for fit in fits]
    return {
        **_described(row, condition, corruption.title, corruption.unit, for_digits=corruption.for_digits),
        "error": _mean([float(np.mean(each.labels != truth)) for each in found]),
        "log_loss": _mean([_log_loss(each) for each in found]),
        "calibration_error": _mean([_calibration_error(each, truth) for each in found]),
    }


def _described(
    row: Configuration, condition: Condition, title: str, unit: str, *, for_digits: bool = False
) -> dict[str, object]:
    return {
        "row": row.label,
        "condition": condition.kind,
        "corruption": title,
        "level": condition.level,
        "level_unit": unit,
        "for_digits": for_digits,
    }


def _log_loss(found: OnCopies) -> float | None:
    return None if found.surprise is None else float(np.mean(found.surprise, dtype=np.float64))


def _calibration_error(found: OnCopies, truth: Labels) -> float | None:
    return None if found.confidence is None else confidence_error(found.confidence, found.labels == truth)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _kinds() -> list[Condition]:
    return [condition for condition in conditions() if condition.kind in KINDS]


def _worst(label: str, frame: pd.DataFrame, first: Predictions, truth: Labels) -> Worst:
    errors = frame[frame["condition"].isin(KINDS)].reset_index(drop=True)
    at = int(errors["error"].to_numpy(float).argmax())
    condition, error = _kinds()[at], float(errors["error"].to_numpy(float)[at])
    copies = first.on_copies[condition.name].labels
    images = np.flatnonzero((first.labels == truth) & (copies != truth))[:IMAGES_SHOWN]
    return Worst(label, condition, error, tuple(images.tolist()), tuple(copies[images].tolist()))


def _summary(frame: pd.DataFrame, compared: Sequence[str], worst: Sequence[Worst], images: int) -> Table:
    by_kind = frame[frame["condition"].isin(KINDS)].pivot_table("error", "row", "condition", sort=False)
    baseline = next((label for label in compared if label in by_kind.index), None)
    relative = by_kind / by_kind.loc[baseline] if baseline else by_kind * np.nan
    clean = frame[frame["condition"] == "none"].set_index("row")["error"]
    summary = pd.DataFrame(
        {
            "row": by_kind.index,
            "clean_error": clean[by_kind.index].to_numpy(),
            "corrupted_error": by_kind.mean(axis=1).to_numpy(),
            "relative_corruption_error": relative.mean(axis=1).to_numpy(),
            "hardest": [each.title for each in worst],
            "hardest_error": [each.error for each in worst],
        }
    )
    shown = partial(percent, images=images)
    columns = (
        Column("row", "model", text, right=False),
        Column("clean_error", "errors on the images, %", shown),
        Column("corrupted_error", "on 15 kinds of copies, mean, %", shown),
        *(
            (Column("relative_corruption_error", f"mean corruption error, {baseline} is 1", three_digits),)
            if baseline
            else ()
        ),
        Column("hardest", "hardest kind", text, right=False),
        Column("hardest_error", "errors there, %", shown),
    )
    return Table("robustness", "Errors on corrupted copies of the images", summary, columns)
