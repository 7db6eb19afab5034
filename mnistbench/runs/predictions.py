"""The stored predictions of a trial: labels and probabilities in an npz file."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.splits import EvaluationGroups

Probabilities: TypeAlias = NDArray[np.floating[Any]]  # shape (n, k), columns in the order of the classes


@dataclass(frozen=True)
class OnCopies:
    """What a model predicts for corrupted copies of the n images.

    Two numbers an image are enough for its log loss and its calibration error, and take a twentieth of the
    room of all probabilities.
    """

    labels: Labels  # the predicted labels
    confidence: NDArray[np.float16] | None = None  # probability of the most probable class; None: not kept
    surprise: NDArray[np.float16] | None = None  # -ln of the true class's probability, nats; None: not kept


@dataclass(frozen=True)
class Predictions:
    """Stored predictions of one trial."""

    labels: Labels  # the predicted labels
    probabilities: Probabilities | None  # float32; None if the model gives none
    on_copies: Mapping[str, OnCopies] = field(default_factory=dict)  # by condition, if measured


def encode_predictions(
    labels: NDArray[np.integer[Any]],
    probabilities: Probabilities | None,
    on_copies: Mapping[str, OnCopies] | None = None,
) -> bytes:
    """Return predictions as the bytes of a compressed npz file."""
    arrays: dict[str, NDArray[Any]] = {"labels": labels.astype(np.int64)}
    if probabilities is not None:
        arrays["probabilities"] = probabilities.astype(np.float32)
    for name, found in (on_copies or {}).items():
        smallest = np.result_type(
            np.min_scalar_type(found.labels.min()), np.min_scalar_type(found.labels.max())
        )
        arrays[f"{name}/labels"] = found.labels.astype(smallest)
        if found.confidence is not None and found.surprise is not None:
            arrays[f"{name}/confidence"], arrays[f"{name}/surprise"] = found.confidence, found.surprise
    return _packed(arrays)


def decode_predictions(packed: bytes, *, labels_only: bool = False) -> Predictions:
    """Return the predictions in the bytes of an npz file, without unpickling.

    `labels_only` leaves out all else, which takes longer to unpack.

    Raises:
        ValueError: The bytes are not such a file.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            labels = arrays["labels"]
            probabilities = None if labels_only else arrays.get("probabilities")
            on_copies = {} if labels_only else _on_copies(arrays, len(labels))
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
    return Predictions(labels, probabilities, on_copies)


def _on_copies(arrays: Mapping[str, NDArray[Any]], count: int) -> dict[str, OnCopies]:
    names = [key.removesuffix("/labels") for key in arrays if key.endswith("/labels")]
    found = {}
    for name in names:
        labels, scores = (
            arrays[f"{name}/labels"],
            [arrays.get(f"{name}/{e}") for e in ("confidence", "surprise")],
        )
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise ValueError(f"its labels of {name} are {labels.dtype}, {labels.shape}")
        if any(each is not None and (each.shape != (count,) or each.dtype != np.float16) for each in scores):
            raise ValueError(f"its scores of {name} are not float16, ({count},)")
        found[name] = OnCopies(labels.astype(np.int64), *scores)
    return found


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
    for name, found in sorted(predictions.on_copies.items()):
        digest.update(name.encode() + found.labels.astype("<i8").tobytes())
        for scores in (found.confidence, found.surprise):
            digest.update(b"" if scores is None else scores.astype("<f2").tobytes())
    return digest.hexdigest()
