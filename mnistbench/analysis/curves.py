"""How fast models learn: accuracy against seconds of training, within a training and over training sizes."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.growth import Family
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


def time_to_level(
    found: Mapping[str, Sequence[LearningCurve]], families: Sequence[Family] = ()
) -> Table | None:
    """Tabulate how long each model trains to reach an accuracy; None where nothing shows it.

    That is the median over its trainings of the first point with the accuracy or more; empty where half of
    them or more never reach it. With families, that is the least of their training sizes, and the table has
    every one of them: a model without a curve reaches its accuracy at the end of its training.
    """
    if families:
        rows = {family.label: [_trainings(row) for row in family.rows] for family in families}
        found = {label: list(itertools.chain(*each)) for label, each in rows.items()}
        frame = pd.DataFrame([_over_sizes(label, each) for label, each in rows.items()])
    elif found:
        frame = pd.DataFrame([_described(label, each) for label, each in found.items()])
    else:
        return None
    reached = [level for level in LEVELS if frame[_column(level)].notna().any()][-_LEVELS_SHOWN:]
    images = most_images(found)
    columns = (
        Column("row", "model", text, right=False),
        Column("curves", "trainings", count),
        Column("final_accuracy", "accuracy at the end, %", partial(percent, images=images)),
        Column("training_seconds", "whole training, s", three_digits),
        *(Column(_column(level), f"to {100 * level:g} %, s", three_digits) for level in reached),
    )
    sizes = ", the least over the training sizes" if families else ""
    return Table("time_to_accuracy", f"Seconds of training to reach an accuracy{sizes}", frame, columns)


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


def _described(label: str, each: Sequence[LearningCurve]) -> dict[str, Any]:
    return {
        "row": label,
        "curves": len(each),
        "unit": each[0].unit,
        "curve_images": each[0].images,
        "final_accuracy": statistics.fmean(c.correct[-1] / c.images for c in each),
        "training_seconds": median([c.seconds[-1] for c in each]),
        **{_column(level): _time_to(level, each) for level in LEVELS},
    }


def _trainings(row: Configuration) -> list[LearningCurve]:
    """Return the learning curves of a configuration, of a single point each where none was taken."""
    taken = [m.learning_curve for m in row.measurements if m.learning_curve is not None]
    return taken or [
        LearningCurve("training", q.test_count, (1,), (m.fit_seconds,), (q.test_count - q.error_count,))
        for m, q in ((record.measurement, record.quality) for record in row.records)
        if m is not None and q is not None
    ]


def _over_sizes(label: str, sizes: Sequence[Sequence[LearningCurve]]) -> dict[str, Any]:
    """Describe a family: the end of its most accurate size, and the least time to each level."""
    described = [_described(label, each) for each in sizes]
    best = max(described, key=lambda each: each["final_accuracy"])
    times = {
        _column(level): min(
            (t for each in described if (t := each[_column(level)]) is not None), default=None
        )
        for level in LEVELS
    }
    return {**best, **times, "curves": sum(map(len, sizes))}


def _time_to(level: float, each: Sequence[LearningCurve]) -> float | None:
    never = float("inf")
    firsts = [
        next((at for at, right in zip(c.seconds, c.correct, strict=True) if right >= level * c.images), never)
        for c in each
    ]
    middle = statistics.median(firsts)
    return None if middle == never else middle


def _column(level: float) -> str:
    return f"seconds_to_{round(1000 * level)}"
