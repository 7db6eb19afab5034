"""What the stored predictions of a run say beyond its records: which images went wrong, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.errors import DataError, MnistbenchError
from mnistbench.metrics import confusion_matrix
from mnistbench.records import RunFolder, decode_predictions
from mnistbench.report.configurations import Configuration

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """The predictions of one configuration beside the true labels.

    Attributes:
        correct: bool (seeds, images): which images each seed's fit got right.
        confusion: int64 (k, k), true classes by predicted ones, added up over the seeds.
    """

    correct: NDArray[np.bool_]
    confusion: Labels


def true_labels(folder: RunFolder) -> Labels | None:
    """Read the labels of the images that a run was judged by, int64 (n,); None where it stored none.

    Raises:
        MnistbenchError: The file is damaged.
    """
    path = folder.path / "labels.npz"
    if not path.is_file():
        return None
    try:
        return decode_predictions(path.read_bytes()).labels
    except (OSError, ValueError) as error:
        raise MnistbenchError(
            f"{path} cannot be read: {error}. Delete it to report without per-class results, "
            "or run the trials again."
        ) from error


def evidence(folder: RunFolder, row: Configuration, truth: Labels, classes: Sequence[int]) -> Evidence | None:
    """Compare a configuration's stored predictions with the true labels, one fit a seed.

    Returns:
        None where the predictions of some fit are missing, damaged or belong to other images.
    """
    correct: list[Any] = []
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for record in row.by_seed:
        try:
            labels = folder.predictions(record.trial.id).labels
            confusion += confusion_matrix(truth, labels, classes)
        except (OSError, ValueError, DataError):
            return None
        correct.append(labels == truth)
    return Evidence(np.array(correct), confusion) if correct else None
