"""The images that models get wrong: by whom, how surely, and what they look like."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mnistbench.analysis.configurations import Configuration
from mnistbench.datasets.arrays import Labels
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import Predictions
from mnistbench.stats.scores import MNIST_TEST_LABEL_ERRORS

FITS_SHOWN = 5
"""Fits of a configuration, the first seeds, whose mistakes are shown image by image."""

MISTAKES_A_CELL = 24
"""Images kept of each cell of a confusion matrix, the most confident first."""

CONFIDENT_SHOWN = 12
"""The most confident mistakes of each configuration that the gallery shows."""

HARD_SHOWN = 60
"""Images of each kind that the gallery shows: wrong for all, right for one alone."""


@dataclass(frozen=True)
class Mistake:
    """One image that a configuration takes for another class."""

    image: int  # index among the images that the run is evaluated on
    true_label: int
    predicted_label: int
    confidence: float | None  # mean probability of that answer over the fits that gave it; None without
    fits: int  # how many of the fits that are shown made this mistake


@dataclass(frozen=True)
class Gallery:
    """The errors of several configurations on the same images, one fit each: that of the first seed."""

    labels: tuple[str, ...]  # the m configurations, best first
    image_count: int  # images that all were evaluated on
    mistakes: Mapping[str, tuple[Mistake, ...]]  # of the first `FITS_SHOWN` seeds, most confident first
    fits: Mapping[str, int]  # how many fits these come from
    confident: Mapping[str, tuple[Mistake, ...]]  # of the first seed's fit, for each one with probabilities
    all_wrong: tuple[int, ...]  # images that every configuration gets wrong, ascending
    only_right: tuple[tuple[int, str], ...]  # ascending images that one alone gets right, with its label
    overlap: Labels  # int64 (m, m), images that two both get wrong; on the diagonal, each by itself
    oracle_accuracy: float  # share that at least one configuration gets right
    # Share that a vote of all gets right; a tie counts as its expectation under a fair draw, so that the
    # order of the configurations plays no part.
    majority_accuracy: float
    of_hard_groups: tuple[int, ...]  # images of the groups that all find hardest, where the groups are known
    label_errors: frozenset[int]  # images known to be mislabelled; only MNIST's test images have a list

    def surest(self, label: str) -> tuple[Mistake, ...]:
        """Return the mistakes of one configuration worth showing: the most confident, else the first ones."""
        return self.confident.get(label) or self.mistakes.get(label, ())[:CONFIDENT_SHOWN]


def gallery(
    folder: RunFolder,
    rows: Sequence[Configuration],
    truth: Labels,
    classes: Sequence[int],
    *,
    is_mnist_test: bool,
    of_hard_groups: tuple[int, ...] = (),
) -> Gallery | None:
    """Collect the errors of configurations, best first, from their stored predictions; None without any.

    Left out are those whose predictions are missing or damaged. `classes` are ascending, as the columns of
    the probabilities follow them; the label errors of MNIST's test images are known.
    """
    stored = {row.label: fits for row in rows if (fits := _stored(folder, row, truth, classes))}
    if not stored:
        return None
    first = np.array([fits[0].labels for fits in stored.values()])
    right = first == truth
    alone: list[int] = np.flatnonzero(right.sum(axis=0) == 1).tolist() if len(stored) > 1 else []
    labels = tuple(stored)
    return Gallery(
        labels=labels,
        image_count=len(truth),
        mistakes={label: tuple(_mistakes(truth, fits, classes)) for label, fits in stored.items()},
        fits={label: len(fits) for label, fits in stored.items()},
        confident={
            label: tuple(_mistakes(truth, fits[:1], classes)[:CONFIDENT_SHOWN])
            for label, fits in stored.items()
            if fits[0].probabilities is not None
        },
        all_wrong=tuple(np.flatnonzero(~right.any(axis=0)).tolist()),
        only_right=tuple((image, labels[int(right[:, image].argmax())]) for image in alone),
        overlap=(~right).astype(np.int64) @ (~right).astype(np.int64).T,
        oracle_accuracy=float(right.any(axis=0).mean()),
        majority_accuracy=_majority_accuracy(truth, first),
        of_hard_groups=of_hard_groups,
        label_errors=frozenset(MNIST_TEST_LABEL_ERRORS) if is_mnist_test else frozenset(),
    )


def _stored(
    folder: RunFolder, row: Configuration, truth: Labels, classes: Sequence[int]
) -> list[Predictions]:
    try:
        fits = [folder.predictions(record.trial.id) for record in row.by_seed[:FITS_SHOWN]]
    except (OSError, ValueError):
        return []
    fit_well = (
        len(fit.labels) == len(truth)
        and np.isin(fit.labels, classes).all()
        and (fit.probabilities is None or fit.probabilities.shape[1] == len(classes))
        for fit in fits
    )
    return fits if all(fit_well) else []


def _mistakes(truth: Labels, fits: Sequence[Predictions], classes: Sequence[int]) -> list[Mistake]:
    """List the mistakes of some fits of one configuration, the most confident first, then by image."""
    column = {label: number for number, label in enumerate(classes)}
    made: Counter[tuple[int, int]] = Counter()
    confidence: dict[tuple[int, int], float] = {}
    for fit in fits:
        for image in np.flatnonzero(fit.labels != truth).tolist():
            key = (image, int(fit.labels[image]))
            made[key] += 1
            if fit.probabilities is not None:
                given = fit.probabilities[image]
                own = float(given[column[key[1]]] / given.sum())
                confidence[key] = confidence.get(key, 0.0) + own
    found = [
        Mistake(
            image=image,
            true_label=int(truth[image]),
            predicted_label=label,
            confidence=confidence[image, label] / times if (image, label) in confidence else None,
            fits=times,
        )
        for (image, label), times in made.items()
    ]
    return sorted(found, key=lambda m: (-(m.confidence or 0.0), m.image, m.predicted_label))


def _majority_accuracy(truth: Labels, predicted: Labels) -> float:
    """Return how often most of the models say the truth, int64 (models, n) against (n,)."""
    classes = np.unique(np.concatenate([truth, predicted.ravel()]))
    votes = np.array([(predicted == label).sum(axis=0) for label in classes])
    most = votes == votes.max(axis=0)
    own = most[np.searchsorted(classes, truth), np.arange(len(truth))]
    return float(np.mean(own / most.sum(axis=0)))


def wanted(shown: Gallery) -> list[int]:
    """List the images worth showing, the most telling first, each once."""
    images = [*shown.all_wrong[:HARD_SHOWN], *(image for image, _ in shown.only_right[:HARD_SHOWN])]
    images += shown.of_hard_groups
    images += [mistake.image for label in shown.labels for mistake in shown.surest(label)]
    # Few images a cell first, so that a budget that runs out leaves something everywhere.
    every_cell = [cell for label in shown.labels for cell in by_cell(shown.mistakes[label]).values()]
    for depth in range(MISTAKES_A_CELL):
        images += [cell[depth].image for cell in every_cell if depth < len(cell)]
    return list(dict.fromkeys(images))


def by_cell(mistakes: Iterable[Mistake]) -> dict[tuple[int, int], list[Mistake]]:
    """Sort mistakes into the cells of a confusion matrix, (true, predicted), keeping their order."""
    found: dict[tuple[int, int], list[Mistake]] = {}
    for each in mistakes:
        found.setdefault((each.true_label, each.predicted_label), []).append(each)
    return found
