"""Whether models are reproducible: fits with the same seed, in fresh processes, compared bit by bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mnistbench.analysis.configurations import Configuration, configurations
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import Predictions
from mnistbench.runs.records import Record, Status

Agreement = Literal["bit-identical", "same labels", "drifting", "unknown"]


@dataclass(frozen=True)
class Reproducibility:
    """How alike the repetitions of one configuration are."""

    label: str  # the configuration, as the report names it
    # "bit-identical" if labels and probabilities (kept as float32) are equal bit by bit, "same labels" if the
    # labels are, "drifting" if some label changed, "unknown" without two successful fits of one seed.
    outcome: Agreement
    fits: int  # successful fits that were compared
    images_changed: int  # images whose label is not the same in all fits of a seed; the most of any seed
    image_count: int  # images predicted by each fit
    probability_change: float | None  # largest difference of a probability; None if the model gives none
    status: str  # how its trials ended


def audit(folder: RunFolder) -> list[Reproducibility]:
    """Compare the repetitions of each configuration of a run, in the order of its report."""
    return [_compared(folder, row) for row in configurations(folder.info(), folder.records())]


def _compared(folder: RunFolder, row: Configuration) -> Reproducibility:
    seeds: dict[int, list[Predictions]] = {}
    for record in sorted(row.records, key=lambda r: (r.trial.seed, r.trial.repeat)):
        predictions = _predictions(folder, record)
        if predictions is not None:
            seeds.setdefault(record.trial.seed, []).append(predictions)
    repeated = [fits for fits in seeds.values() if len(fits) > 1]
    images_changed = max(map(_images_changed, repeated), default=0)
    changes = [change for fits in repeated if (change := _probability_change(fits)) is not None]
    outcome: Agreement = "unknown"
    if repeated:
        same = all(_bits(fit) == _bits(fits[0]) for fits in repeated for fit in fits)
        outcome = "bit-identical" if same else "drifting" if images_changed else "same labels"
    return Reproducibility(
        label=row.label,
        outcome=outcome,
        fits=sum(map(len, repeated)),
        images_changed=images_changed,
        image_count=len(repeated[0][0].labels) if repeated else 0,
        probability_change=max(changes, default=None),
        status=row.status,
    )


def _predictions(folder: RunFolder, record: Record) -> Predictions | None:
    if record.status is not Status.OK:
        return None
    try:
        return folder.predictions(record.trial.id)
    except (OSError, ValueError):
        return None


def _images_changed(fits: Sequence[Predictions]) -> int:
    labels = np.array([fit.labels for fit in fits])
    return int((labels != labels[0]).any(axis=0).sum())


def _probability_change(fits: Sequence[Predictions]) -> float | None:
    given = [fit.probabilities for fit in fits if fit.probabilities is not None]
    if len(given) < len(fits):
        return None
    stacked = np.array(given)
    return float((stacked.max(axis=0) - stacked.min(axis=0)).max())


def _bits(fit: Predictions) -> tuple[bytes, bytes | None]:
    return fit.labels.tobytes(), None if fit.probabilities is None else fit.probabilities.tobytes()
