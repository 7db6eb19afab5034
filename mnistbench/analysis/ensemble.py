"""A soft vote of a run's models, from their stored predictions: nothing is trained for it.

It is the weighted geometric mean of their probabilities, in which a confident model weighs more than an
unsure one: on MNIST's hold-out its log loss is below the arithmetic mean's, as
`benchmarks/studies/pooling.py` shows. The weights are chosen on the hold-out of the training images, from a
validation run of the same models, and then applied to the test predictions, once.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from mnistbench.analysis.configurations import Configuration, configurations
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.json import from_json, to_json
from mnistbench.runs.predictions import Predictions
from mnistbench.stats.scores import Quality, quality
from mnistbench.text import command, plural

FILE = "ensemble.json"
_SUM_TOLERANCE = 1e-6
_FLOOR = 1e-6  # a model that is certain and wrong has no veto
_NEGLIGIBLE_WEIGHT = 1e-9  # what the solver leaves of a zero
_LARGEST_WEIGHT = 100.0  # on a hold-out without errors, no weight would be large enough

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """A model, by its row in the run's report, with its share of the vote; all shares sum to 1."""

    model: str
    weight: float


@dataclass(frozen=True)
class Ensemble:
    """What is kept of an ensemble: the votes, and where they come from."""

    members: tuple[Member, ...]  # the models, heaviest first
    sharpness: float  # the power to which the weighted geometric mean of their probabilities is taken
    validation_run: str  # the run on whose predictions the weights were chosen; several with commas
    holdout_images: int  # images of the hold-outs
    holdout_accuracy: float  # the ensemble's accuracy on them, mean over the seeds
    holdout_log_loss: float  # its log loss there, which the weights minimise, in nats
    left_out: tuple[str, ...] = ()  # models without probabilities, or not on each hold-out

    @property
    def validation_runs(self) -> list[str]:
        """The names of the runs on whose predictions the weights were chosen."""
        return self.validation_run.split(",")


@dataclass(frozen=True)
class Vote:
    """What an ensemble votes, and what training its members takes: the sum of their medians."""

    by_seed: Mapping[int, Quality]  # the scores of each seed's vote
    correct: NDArray[np.bool_]  # which images each seed's vote gets right, (seeds, images)
    fit_seconds: float


def choose_ensemble(folder: RunFolder, validations: Sequence[RunFolder]) -> Ensemble:
    """Choose the weights of a run's models on validation runs of the same models, on one or more hold-outs.

    Raises:
        UsageError: The first is a validation run or another is not, they are of different data sets, or they
            have fewer than two models with probabilities in common.
        MnistbenchError: Stored predictions are missing or damaged.
    """
    info = folder.info()
    if info.is_validation:
        raise UsageError(f"{info.name} is a validation run; an ensemble needs a run on test images.")
    rows = configurations(info, folder.records())
    voters = [row for row in rows if _probabilities(folder, row)]
    held_out: dict[str, _HeldOut] = {}
    for validation in validations:
        _refuse_unfit(folder, validation)
        _add(held_out, validation, voters)
    names = [validation.name for validation in validations]
    labels = [row.label for row in voters if all(row.label in each.given for each in held_out.values())]
    if len(labels) < 2:
        raise UsageError(
            f"{info.name} and {' and '.join(names)} share {plural(len(labels), 'model')} with probabilities; "
            "an ensemble needs at least two with the same parameters."
        )
    ballots = [ballot for each in held_out.values() for ballot in each.ballots(labels)]
    truth = np.concatenate([each for each, _ in ballots])
    weights = pool_weights(
        np.concatenate([votes for _, votes in ballots], axis=1), truth, info.dataset.classes
    )
    scores = [_scored(each, pooled(weights, list(votes)), info.dataset.classes) for each, votes in ballots]
    images = [len(each) for each, _ in ballots]
    sharpness = float(weights.sum())
    shares = weights / sharpness if sharpness else np.full(len(weights), 1 / len(weights))
    members = [Member(label, float(share)) for label, share in zip(labels, shares, strict=True)]
    return Ensemble(
        members=tuple(sorted(members, key=lambda member: -member.weight)),
        sharpness=sharpness,
        validation_run=",".join(names),
        holdout_images=sum(len(each.truth) for each in held_out.values()),
        holdout_accuracy=float(np.average([score.accuracy for score in scores], weights=images)),
        holdout_log_loss=float(np.average([score.log_loss for score in scores], weights=images)),
        left_out=tuple(row.label for row in rows if row.label not in labels),
    )


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """What validation runs say of one hold-out."""

    name: str  # the first of these runs
    truth: NDArray[np.int64]  # the true labels, (n,)
    given: dict[str, dict[int, Probabilities]]  # the probabilities of each row and seed, (n, k)

    def ballots(self, labels: Sequence[str]) -> list[tuple[NDArray[np.int64], Probabilities]]:
        """Return for each seed the true labels and the rows' probabilities, (rows, n, k).

        Raises:
            UsageError: No seed has those of every row.
        """
        seeds = sorted(set.intersection(*(set(self.given[label]) for label in labels)))
        if not seeds:
            raise UsageError(f"no seed of {self.name} has predictions of every model.")
        return [(self.truth, np.stack([self.given[label][seed] for label in labels])) for seed in seeds]


def _refuse_unfit(folder: RunFolder, validation: RunFolder) -> None:
    info, held_out = folder.info(), validation.info()
    if not held_out.is_validation:
        make = command("run", "--validation", results=folder.path.parent)
        raise UsageError(
            f"{held_out.name} is not a validation run, and weights must not be chosen on test images. "
            f"Make one with `{make}` and the options of {info.name}."
        )
    if info.dataset.sha256 != held_out.dataset.sha256:
        raise UsageError(f"{info.name} and {held_out.name} use different data sets.")


def _add(held_out: dict[str, _HeldOut], validation: RunFolder, voters: Sequence[Configuration]) -> None:
    """Add the probabilities that a validation run has of these rows to those of its hold-out."""
    info = validation.info()
    truth = validation.true_labels()
    if truth is None:
        raise MnistbenchError(f"{info.name} has lost its true labels (labels.npz); run it again.")
    same = held_out.setdefault(info.holdout, _HeldOut(info.name, truth, {}))
    known = {_identity(row): row for row in configurations(info, validation.records())}
    for row in voters:
        found = known.get(_identity(row))
        given = _probabilities(validation, found) if found is not None else {}
        if given:
            same.given.setdefault(row.label, {}).update(given)


def pool_weights(
    probabilities: Probabilities, truth: NDArray[np.int64], classes: Sequence[int]
) -> Probabilities:
    """Return the weights with which `pooled` has the least log loss, which is convex in them.

    Args:
        probabilities: Of each model, shape (models, n, k), columns in the order of the classes.
        truth: The true labels, shape (n,).
        classes: The k labels.

    Returns:
        float64, shape (models,), each from 0 to 100.
    """
    from scipy.optimize import minimize  # not above: slow to load, and a report does not need it

    columns = np.searchsorted(np.asarray(classes), truth)
    logs = _logs(probabilities)
    of_truth = logs[:, np.arange(len(truth)), columns]

    def loss_and_slope(weights: Probabilities) -> tuple[float, Probabilities]:
        scores = np.tensordot(weights, logs, 1)
        loss = np.mean(logsumexp(scores, axis=1) - weights @ of_truth)
        expected = np.tensordot(logs, softmax(scores, axis=1), 2) / len(truth)
        return float(loss), expected - of_truth.mean(axis=1)

    count = len(probabilities)
    found = minimize(
        loss_and_slope,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",  # L-BFGS-B may stop early where the models are nearly perfect and the loss is flat
        bounds=[(0, _LARGEST_WEIGHT)] * count,
        options={"ftol": 1e-15, "maxiter": 1_000},
    )
    return np.where(found.x < _NEGLIGIBLE_WEIGHT, 0.0, found.x)


def pooled(weights: Sequence[float] | Probabilities, votes: Sequence[Probabilities]) -> Probabilities:
    """Return the product of probabilities, (n, k), to the powers of the weights; each row sums to 1.

    The logarithmic opinion pool: C. Genest and J. V. Zidek, "Combining probability distributions: a critique
    and an annotated bibliography", Statistical Science 1, 1986. Weights that sum to 1 make it a weighted
    geometric mean; a larger sum makes it surer, a smaller one less sure.
    """
    scores = np.zeros_like(votes[0])
    for weight, given in zip(weights, votes, strict=True):
        scores += weight * _logs(given)
    return np.asarray(softmax(scores, axis=1))


def _logs(probabilities: Probabilities) -> Probabilities:
    return np.log(np.maximum(probabilities, _FLOOR))


def store_ensemble(folder: RunFolder, ensemble: Ensemble) -> None:
    """Keep an ensemble in its run's folder, where the report finds it.

    Raises:
        MnistbenchError: It cannot be written.
    """
    try:
        folder.write(FILE, json.dumps(to_json(ensemble), indent=1).encode() + b"\n")
    except OSError as error:
        raise MnistbenchError(
            f"{folder.path / FILE} cannot be written: {error.strerror or error}."
        ) from error


def stored_ensemble(folder: RunFolder) -> Ensemble | None:
    """Return the ensemble that is kept in a run's folder, or None; a damaged one is a MnistbenchError."""
    path = folder.path / FILE
    try:
        ensemble = from_json(Ensemble, json.loads(path.read_bytes()))
        weights = [member.weight for member in ensemble.members]
        if not weights or not min(weights) >= 0 or not abs(sum(weights) - 1) <= _SUM_TOLERANCE:
            raise ValueError("its weights are not shares that sum to 1")
        if not 0 <= ensemble.sharpness < math.inf:
            raise ValueError(f"its sharpness is {ensemble.sharpness}")
        return ensemble
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise MnistbenchError(
            f"{path} cannot be read: {error}. Remove it, or make it again with `mnistbench ensemble`."
        ) from error


def vote(
    folder: RunFolder,
    ensemble: Ensemble,
    rows: Sequence[Configuration],
    truth: NDArray[np.int64],
    classes: Sequence[int],
) -> Vote | None:
    """Apply an ensemble to the predictions of its run; None where no seed has predictions of every member."""
    by_label = {row.label: row for row in rows}
    members = [(by_label.get(member.model), member.weight) for member in ensemble.members]
    found = [(row, weight, _probabilities(folder, row)) for row, weight in members if row is not None]
    seeds = sorted(set.intersection(*(set(each) for _, _, each in found))) if found else []
    if len(found) < len(members) or not seeds:
        return None
    weights = [ensemble.sharpness * share for _, share, _ in found]
    votes = [pooled(weights, [each[seed] for _, _, each in found]) for seed in seeds]
    return Vote(
        by_seed={seed: _scored(truth, given, classes) for seed, given in zip(seeds, votes, strict=True)},
        correct=np.array([np.asarray(classes)[given.argmax(axis=1)] == truth for given in votes]),
        fit_seconds=sum(row.fit_seconds or 0.0 for row, _, _ in found),
    )


def _identity(row: Configuration) -> tuple[str, str]:
    return row.model, json.dumps(dict(row.trials[0].parameters), sort_keys=True)


def _probabilities(folder: RunFolder, row: Configuration) -> dict[int, Probabilities]:
    """Return the probabilities of each seed, float64, shape (n, k); nothing unless every seed has some."""
    found = {}
    for record in row.by_seed:
        given = _stored(folder, record.trial.id).probabilities
        if given is None:
            return {}
        found[record.trial.seed] = given.astype(np.float64)
    return found


def _stored(folder: RunFolder, trial_id: str) -> Predictions:
    try:
        return folder.predictions(trial_id)
    except (OSError, ValueError) as error:
        raise MnistbenchError(
            f"{folder.path / 'predictions' / f'{trial_id}.npz'} cannot be read: {error}"
        ) from error


def _scored(truth: NDArray[np.int64], mixed: Probabilities, classes: Sequence[int]) -> Quality:
    return quality(truth, np.asarray(classes)[mixed.argmax(axis=1)], mixed, classes)
