"""How fast the iterative models learn: accuracy against seconds of training."""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.tables import Column, Table, median, text
from mnistbench.runs.records import LearningCurve
from mnistbench.text import count, percent, three_digits

LEVELS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.994, 0.996, 0.998)
"""Accuracies worth waiting for, lowest first; the report shows the highest that any model reaches."""

CURVES_DRAWN = 12
_LEVELS_SHOWN = 4


def curves(rows: Sequence[Configuration]) -> dict[str, list[LearningCurve]]:
    """Collect the learning curves of each configuration that has some, by its label."""
    found = {
        row.label: [m.learning_curve for m in row.measurements if m.learning_curve is not None]
        for row in rows
    }
    return {label: each for label, each in found.items() if each}


def time_to_level(found: Mapping[str, Sequence[LearningCurve]]) -> Table | None:
    """Tabulate how long each model trains to reach an accuracy; None where no curve was taken.

    That is the median over its trainings of the first point with the accuracy or more; empty where half of
    them or more never reach it.
    """
    if not found:
        return None
    frame = pd.DataFrame([_described(label, each) for label, each in found.items()])
    reached = [level for level in LEVELS if frame[_column(level)].notna().any()][-_LEVELS_SHOWN:]
    images = most_images(found)
    columns = (
        Column("row", "model", text, right=False),
        Column("curves", "trainings", count),
        Column("final_accuracy", "accuracy at the end, %", partial(percent, images=images)),
        Column("training_seconds", "whole training, s", three_digits),
        *(Column(_column(level), f"to {100 * level:g} %, s", three_digits) for level in reached),
    )
    return Table("time_to_accuracy", "Seconds of training to reach an accuracy", frame, columns)


def lines(found: Mapping[str, Sequence[LearningCurve]]) -> dict[str, list[list[tuple[float, float]]]]:
    """Return each training of the first configurations as points of (seconds, accuracy)."""
    return {
        label: [
            [(at, right / c.images) for at, right in zip(c.seconds, c.correct, strict=True)] for c in each
        ]
        for label, each in list(found.items())[:CURVES_DRAWN]
    }


def most_images(found: Mapping[str, Sequence[LearningCurve]]) -> int:
    """Return how many images the curves are evaluated on at most."""
    return max(c.images for each in found.values() for c in each)


def _described(label: str, each: Sequence[LearningCurve]) -> dict[str, object]:
    return {
        "row": label,
        "curves": len(each),
        "unit": each[0].unit,
        "curve_images": each[0].images,
        "final_accuracy": statistics.fmean(c.correct[-1] / c.images for c in each),
        "training_seconds": median([c.seconds[-1] for c in each]),
        **{_column(level): _time_to(level, each) for level in LEVELS},
    }


def _time_to(level: float, each: Sequence[LearningCurve]) -> float | None:
    never = float("inf")
    firsts = [
        next(
            (at for at, right in zip(c.seconds, c.correct, strict=True) if right >= level * c.images),
            never,
        )
        for c in each
    ]
    middle = statistics.median(firsts)
    return None if middle == never else middle


def _column(level: float) -> str:
    return f"seconds_to_{round(1000 * level)}"
