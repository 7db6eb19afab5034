"""The stored predictions of a trial: labels and probabilities in an npz file."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.splits import EvaluationGroups

Probabilities: TypeAlias = NDArray[np.floating[Any]]  # shape (n, k), columns in the order of the classes


@dataclass(frozen=True)
class Predictions:
    """Stored predictions of one trial.

    Attributes:
        labels: The predicted labels.
        probabilities: float32; None if the model gives none.
    """

    labels: Labels
    probabilities: Probabilities | None


def encode_predictions(labels: NDArray[np.integer[Any]], probabilities: Probabilities | None) -> bytes:
    """Return predictions as the bytes of a compressed npz file."""
    arrays = {"labels": labels.astype(np.int64)}
    if probabilities is not None:
        arrays["probabilities"] = probabilities.astype(np.float32)
    return _packed(arrays)


def decode_predictions(packed: bytes, *, labels_only: bool = False) -> Predictions:
    """Return the predictions in the bytes of an npz file, without unpickling.

    Args:
        packed: From `encode_predictions`.
        labels_only: Leave out the probabilities, which take longer to unpack than the labels.

    Raises:
        ValueError: The bytes are not such a file.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            labels = arrays["labels"]
            probabilities = None if labels_only else arrays.get("probabilities")
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for damaged bytes
        raise ValueError(f"not a file of predictions: {error}") from error
    if labels.ndim != 1 or labels.dtype != np.int64:
        raise ValueError(f"not a file of predictions: its labels are {labels.dtype}, {labels.shape}")
    if probabilities is not None and (
        probabilities.ndim != 2 or len(probabilities) != len(labels) or probabilities.dtype != np.float32
    ):
        raise ValueError(
            f"not a file of predictions: its probabilities are {probabilities.dtype}, {probabilities.shape}"
        )
    return Predictions(labels, probabilities)


def encode_truth(labels: Labels, groups: EvaluationGroups | None) -> bytes:
    """Return the true labels of a run's evaluation images and their groups as the bytes of an npz file."""
    arrays: dict[str, NDArray[Any]] = {"labels": labels.astype(np.int64)}
    if groups is not None:
        arrays |= {"groups": groups.ids, "strata": groups.strata, "trained_on": groups.trained_on}
    return _packed(arrays)


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type] # numpy's stub reads ** as its flag
    return buffer.getvalue()


def decode_groups(packed: bytes) -> EvaluationGroups | None:
    """Return the groups in the bytes from `encode_truth`, or None if there are none.

    Raises:
        ValueError: The bytes are not such a file.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            if "groups" not in arrays:
                return None
            groups = EvaluationGroups(arrays["groups"], arrays["strata"], arrays["trained_on"])
            shape = arrays["labels"].shape
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for damaged bytes
        raise ValueError(f"not a file of labels: {error}") from error
    kinds = ((groups.ids, np.int64), (groups.strata, np.int64), (groups.trained_on, np.bool_))
    if any(array.shape != shape or array.dtype != dtype for array, dtype in kinds):
        raise ValueError("not a file of labels: its groups do not fit them")
    return groups


def predictions_digest(predictions: Predictions) -> str:
    """Return the SHA-256 of the predictions' values, whatever the compression of their file."""
    digest = hashlib.sha256(predictions.labels.astype("<i8").tobytes())
    if predictions.probabilities is not None:
        digest.update(predictions.probabilities.astype("<f4").tobytes())
    return digest.hexdigest()
