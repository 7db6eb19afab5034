"""What a fitted model predicts for corrupted copies of the images that judge its trial."""

from typing import Any

import numpy as np

from mnistbench.datasets.corruptions import CORRUPTIONS, conditions, corrupted, images_digest
from mnistbench.runs.predictions import OnCopies
from mnistbench.stats.scores import LOG_LOSS_FLOOR
from mnistbench.trial.contract import checked_labels, checked_probabilities
from mnistbench.trial.images import load_images, scaled
from mnistbench.trial.request import Request


def predict_copies(
    request: Request, estimator: Any, *, with_probabilities: bool
) -> tuple[dict[str, OnCopies], dict[str, str]]:
    """Return what it predicts under each condition, and the SHA-256 of these copies, by condition.

    Probabilities, where the model gives them, are taken for shifts by degrees alone, along which calibration
    is followed. They may disagree with the labels: how often they do is measured on the images themselves.

    Raises:
        ContractError: The estimator violates scikit-learn's contract.
    """
    loaded = load_images(request, most_train=0)
    classes, truth = np.asarray(request.classes, dtype=np.int64), loaded.y_eval
    images = np.rint(loaded.x_eval * 255).astype(np.uint8).reshape(len(truth), *loaded.shape)
    on_copies, hashes = {}, {}
    for condition in conditions():
        copies = corrupted(images, condition)
        hashes[condition.name] = images_digest(copies)
        encoded = checked_labels(estimator.predict(scaled(copies)), len(copies), len(classes), {})
        scores: tuple[Any, ...] = ()
        if with_probabilities and CORRUPTIONS[condition.kind].level is None:
            given = np.asarray(estimator.predict_proba(scaled(copies)))
            scores = _scores(checked_probabilities(given, given.argmax(axis=1), len(classes), {}), truth)
        on_copies[condition.name] = OnCopies(classes[encoded], *scores)
    return on_copies, hashes


def _scores(probabilities: Any, truth: Any) -> tuple[Any, ...]:
    """Return the confidence and the surprise of each image."""
    normalised = probabilities / probabilities.sum(axis=1, keepdims=True)
    own = np.clip(normalised[np.arange(len(truth)), truth], LOG_LOSS_FLOOR, 1)
    return normalised.max(axis=1).astype(np.float16), np.abs(np.log(own)).astype(np.float16)
