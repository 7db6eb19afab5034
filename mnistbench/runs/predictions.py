"""The stored predictions of a trial: labels and probabilities, packed as npz."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """Stored predictions of one trial.

    Attributes:
        labels: Shape (n,), int64, the data set's own labels.
        probabilities: Shape (n, k), float32, columns in the order of the data set's classes; or None.
    """

    labels: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any] | None


def encode_predictions(labels: np.ndarray[Any, Any], probabilities: np.ndarray[Any, Any] | None) -> bytes:
    """Pack predictions as a compressed npz file's bytes."""
    arrays = {"labels": labels.astype(np.int64)}
    if probabilities is not None:
        arrays["probabilities"] = probabilities.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type] # numpy's stub reads ** as its flag
    return buffer.getvalue()


def decode_predictions(packed: bytes, *, labels_only: bool = False) -> Predictions:
    """Unpack what `encode_predictions` packed; never unpickles.

    Args:
        packed: The bytes of the npz file.
        labels_only: Leave the probabilities out, which take longer to unpack than the labels.

    Raises:
        ValueError: The bytes are no such file.
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


def predictions_digest(predictions: Predictions) -> str:
    """Return the SHA-256 of the predictions' values, whatever the file's compression."""
    digest = hashlib.sha256(predictions.labels.astype("<i8").tobytes())
    if predictions.probabilities is not None:
        digest.update(predictions.probabilities.astype("<f4").tobytes())
    return digest.hexdigest()
