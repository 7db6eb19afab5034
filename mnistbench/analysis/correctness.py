"""Which images each configuration classifies correctly, and how it errs, from the stored predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnistbench.analysis.configurations import Configuration
from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.idx import idx_sha256
from mnistbench.datasets.named import MNIST
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.errors import DataError
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import Predictions
from mnistbench.stats.groups import clustering
from mnistbench.stats.pairs import PairedTest, paired_tests
from mnistbench.stats.scores import (
    MNIST_TEST_LABEL_ERRORS,
    ReliabilityBin,
    accuracy_without,
    confusion_matrix,
    most_confused,
    per_class,
    reliability,
)
from mnistbench.stats.verdicts import judged

_PAIRS_KEPT = 1_000


@dataclass(frozen=True)
class Correctness:
    """The predictions of one configuration beside the true labels."""

    correct: NDArray[np.bool_]  # which images each seed's fit got right, (seeds, images)
    confusion: Labels  # int64 (k, k), true classes by predicted ones, added up over the seeds
    # Images of all seeds by confidence; None without probabilities, and for a configuration that is not shown
    # in detail.
    reliability: list[ReliabilityBin] | None
    # Mean over seeds, without the images of MNIST's test set whose label is known to be wrong; None for any
    # other images.
    accuracy_without_label_errors: float | None


def most_frequent_share(truth: Labels) -> float:
    """Return the share of the most frequent class: what always saying it would get right."""
    return float(np.unique(truth, return_counts=True)[1].max() / len(truth))


def find_correctness(
    folder: RunFolder, rows: Sequence[Configuration], truth: Labels, classes: Sequence[int], detailed: int
) -> dict[str, Correctness]:
    """Compare the stored predictions of each configuration with the true labels, one fit a seed, by label.

    The first `detailed` ones get a reliability diagram. Left out is a configuration whose predictions are
    missing, damaged or of other images, for any of its seeds.
    """
    label_errors = MNIST_TEST_LABEL_ERRORS if _are_of_mnist_test(truth) else ()
    found: dict[str, Correctness] = {}
    for row in rows:
        labels_only = len(found) >= detailed
        try:
            predicted = [folder.predictions(r.trial.id, labels_only=labels_only) for r in row.by_seed]
            if predicted:
                found[row.label] = _correctness(truth, predicted, classes, label_errors)
        except (OSError, ValueError, DataError):
            continue
    return found


def by_group(
    rows: Sequence[Configuration], found: Mapping[str, Correctness], groups: EvaluationGroups
) -> list[Configuration]:
    """Return the configurations with what the groups of the images say of their intervals."""
    return [
        replace(row, clustering=clustering(found[row.label].correct, groups.ids))
        if row.label in found
        else row
        for row in rows
    ]


def _are_of_mnist_test(truth: Labels) -> bool:
    return 0 <= truth.min() <= truth.max() <= 255 and idx_sha256(truth) == MNIST.decoded["y_test"]


def _correctness(
    truth: Labels, predicted: Sequence[Predictions], classes: Sequence[int], label_errors: Sequence[int]
) -> Correctness:
    probabilities = [p.probabilities for p in predicted if p.probabilities is not None]
    return Correctness(
        correct=np.array([p.labels == truth for p in predicted]),
        confusion=sum(
            (confusion_matrix(truth, p.labels, classes) for p in predicted),
            start=np.zeros((len(classes), len(classes)), dtype=np.int64),
        ),
        reliability=reliability(np.tile(truth, len(probabilities)), np.concatenate(probabilities), classes)
        if len(probabilities) == len(predicted)
        else None,
        accuracy_without_label_errors=float(
            np.mean([accuracy_without(truth, p.labels, label_errors) for p in predicted])
        )
        if label_errors
        else None,
    )


def compare_pairs(
    found: Mapping[str, Correctness], groups: EvaluationGroups | None, margin: float
) -> list[PairedTest]:
    """Test and judge every pair of configurations on their common images; see `stats.verdicts.judged`."""
    correct = {label: each.correct for label, each in found.items()}
    return judged(paired_tests(correct, ids_of(groups)), margin)


def ids_of(groups: EvaluationGroups | None) -> Labels | None:
    """Return the group of each image, (n,); None where the groups are unknown."""
    return None if groups is None else groups.ids


def pairs_frame(tests: Sequence[PairedTest]) -> pd.DataFrame:
    """List the paired tests, one row a pair."""
    columns = [
        "row_a", "row_b", "difference", "difference_low", "difference_high", "p_value", "adjusted_p_value",
        "method", "only_a", "only_b", "sampling_se", "training_se", "training_covered",
        "verdict", "images_to_settle", "seeds_to_settle", "settled_together",
    ]  # fmt: skip
    return pd.DataFrame(
        [
            {
                **vars(test),
                "row_a": test.model_a,
                "row_b": test.model_b,
                "difference_low": test.interval.low,
                "difference_high": test.interval.high,
                "sampling_se": test.sampling_se,
                "training_se": test.training_se,
            }
            for test in tests
        ],
        columns=columns,
    )


def confused_frame(found: Mapping[str, Correctness], classes: Sequence[int]) -> pd.DataFrame:
    """List which classes each configuration takes for which, most frequent first."""
    return pd.DataFrame(
        [
            {"row": label, **vars(pair)}
            for label, each in found.items()
            for pair in most_confused(each.confusion, classes, _PAIRS_KEPT)
        ],
        columns=["row", "true_label", "predicted_label", "count", "share"],
    )


def classes_frame(found: Mapping[str, Correctness], classes: Sequence[int]) -> pd.DataFrame:
    """Score each configuration class by class."""
    return pd.DataFrame(
        [
            {"row": label, **vars(result)}
            for label, each in found.items()
            for result in per_class(each.confusion, classes)
        ],
        columns=["row", "label", "support", "precision", "recall", "f1"],
    )
