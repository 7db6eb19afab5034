"""Tables of what the predictions of a run are worth: scores, classes, confusions."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.correctness import Correctness
from mnistbench.analysis.tables import SCORES, Column, Table, scores, text
from mnistbench.text import count, percent, three_digits

MOST_CONFUSED_SHOWN = 5
CLASS_ROWS_SHOWN = 8
CLASSES_SHOWN = 40
_UNEVEN_FACTOR = 2


def predictions(rows: Sequence[Configuration], found: Mapping[str, Correctness]) -> Table:
    """Tabulate what the predictions and probabilities are worth, one row a configuration with a success."""
    frame = pd.DataFrame(
        [
            {
                "row": row.label,
                "accuracy": row.accuracy,
                "accuracy_without_label_errors": found[row.label].accuracy_without_label_errors
                if row.label in found
                else None,
                **scores(row),
            }
            for row in rows
            if row.by_seed
        ],
        columns=["row", "accuracy", "accuracy_without_label_errors", *SCORES],
    )
    images = max((row.test_count for row in rows), default=0)

    def share(name: str, heading: str) -> Column:
        return Column(name, heading, lambda v: percent(v, images))

    cleaned = frame["accuracy_without_label_errors"].notna().any()
    uneven = any(_is_uneven(each.confusion) for each in found.values())
    columns = (
        Column("row", "model", text, right=False),
        share("accuracy", "accuracy, %"),
        *((share("macro_recall", "balanced accuracy, %"),) if uneven else ()),
        *((share("accuracy_without_label_errors", "without label errors, %"),) if cleaned else ()),
        share("macro_f1", "macro F1, %"),
        share("top2_accuracy", "top 2, %"),
        Column("log_loss", "log loss", three_digits),
        Column("brier_score", "Brier", three_digits),
        Column("calibration_error", "ECE, %", _hundredfold),
        Column("adaptive_calibration_error", "adaptive ECE, %", _hundredfold),
    )
    return Table("quality", "Quality of predictions and probabilities", frame, columns)


def _is_uneven(confusion: NDArray[np.int64]) -> bool:
    """Return whether a class has over twice the images of another, so accuracy is about the large ones."""
    counts = confusion.sum(axis=1)
    return bool(counts.max() > _UNEVEN_FACTOR * counts[counts > 0].min())


def _hundredfold(share: float | None) -> str:
    return three_digits(None if share is None else 100 * share)


def by_class(frame: pd.DataFrame, images: int, name: Callable[[int], str]) -> Table | None:
    """Tabulate the F1 of each class for the first rows of `classes_frame`; None for too many classes.

    `name` returns the name of a class.
    """
    labels = list(dict.fromkeys(frame["row"]))[:CLASS_ROWS_SHOWN]
    classes = list(dict.fromkeys(frame["label"]))
    if not labels or len(classes) > CLASSES_SHOWN:
        return None
    wide = pd.DataFrame({"label": classes})
    for label in labels:
        wide[f"f1 {label}"] = frame.loc[frame["row"] == label, "f1"].to_list()
    columns = (
        Column("label", "class", name),
        *(Column(f"f1 {label}", label, lambda v: percent(v, images)) for label in labels),
    )
    return Table("by_class", "F1 of each class, %", wide, columns)


def most_confused(label: str, seeds: int, frame: pd.DataFrame, name: Callable[[int], str]) -> Table | None:
    """Tabulate the few pairs of classes that a configuration confuses most; None where it confuses none.

    Counts are added up over its `seeds`; `frame` is from `correctness.confused_frame`; `name`
    returns the name of a class.
    """
    own = frame[frame["row"] == label].head(MOST_CONFUSED_SHOWN)
    if own.empty:
        return None
    columns = (
        Column("true_label", "true", name),
        Column("predicted_label", "predicted", name),
        Column("count", "images", count),
        Column("share", "of the true class, %", lambda v: three_digits(100 * v)),
    )
    total = f", total over {seeds} seeds" if seeds > 1 else ""
    return Table("confused_pairs", f"Most frequent confusions of {label}{total}", own, columns)
