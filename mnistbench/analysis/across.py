"""Models across data sets: how accurate each is, how it ranks, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mnistbench.analysis.contents import Contents
from mnistbench.analysis.tables import Column, Table, text
from mnistbench.stats.ranks import LEAST_DATASETS, Ranks, average_ranks
from mnistbench.text import MISSING, percent, plural, three_digits


@dataclass(frozen=True)
class Across:
    """What several data sets say together of the models that were run on them."""

    accuracy: Table
    ranks: Ranks | None  # None where there are too few data sets or models
    note: str  # what the ranks say and assume, or why there are none
    costs: Table | None  # None where the runs were made on different machines


def across(runs: Mapping[str, Contents], *, is_one_machine: bool) -> Across:
    """Put together runs on the test images of different data sets, by the name of each data set."""
    frames = {name: run.frames["results"].set_index("row") for name, run in runs.items()}
    images = {name: run.evaluated for name, run in runs.items()}
    accuracy = _columns(frames, ("accuracy", "published"))
    judged = accuracy[[f"{name} accuracy" for name in frames]].dropna()
    ranks = None
    if len(frames) < LEAST_DATASETS:
        note = (
            f"Average ranks are left out: with {plural(len(frames), 'data set')} they would say nothing; "
            f"Friedman's test takes at least {LEAST_DATASETS}."
        )
    elif len(judged) < 2:
        note = "Average ranks are left out: they take two models with a result on every data set."
    else:
        ranks = average_ranks({str(row): values.tolist() for row, values in judged.iterrows()})
        note = _note(ranks, [str(row) for row in accuracy.index if row not in judged.index])
    times = _columns(frames, ("fit_seconds", "predict_seconds"))
    return Across(
        accuracy=_accuracy(accuracy, images),
        ranks=ranks,
        note=note,
        costs=_costs(times, list(frames)) if is_one_machine else None,
    )


def _note(ranks: Ranks, left_out: Sequence[str]) -> str:
    differ = "the models differ" if ranks.p_value < 0.05 else "no model differs significantly from another"
    note = (
        f"Average ranks over {ranks.dataset_count} data sets, 1 for the most accurate model: {differ} "
        f"(Friedman's test with Iman and Davenport's correction, p = {ranks.p_value:.2g}). A bar joins "
        "models that do not differ significantly at 5 % (Nemenyi's test, Demsar 2006), which does not make "
        "them the same. Both tests take the data sets for independent of each other and for a fair sample "
        "of those that matter; sets that share writers, as MNIST and EMNIST do, count for more than they are."
    )
    if left_out:
        note += f" Without a rank, as they have no result on some data set: {', '.join(left_out)}."
    return note


def _columns(frames: Mapping[str, pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Put columns of several frames of results side by side: "mnist accuracy" and so on; best first."""
    beside = [frame.reindex(columns=list(names)).add_prefix(f"{name} ") for name, frame in frames.items()]
    joined = pd.concat(beside, axis=1).apply(pd.to_numeric)
    best = joined[[f"{name} {names[0]}" for name in frames]].rank(ascending=names[0] != "accuracy")
    ordered: pd.DataFrame = joined.loc[best.mean(axis=1).sort_values(kind="stable").index]
    return ordered.rename_axis("row")


def _accuracy(frame: pd.DataFrame, images: Mapping[str, int]) -> Table:
    def column(name: str) -> Column:
        def show(accuracy: float, published: float) -> str:
            written = percent(accuracy, images[name])
            beside = "" if published != published else f" ({100 * published:.10g})"
            return written + beside if written != MISSING else MISSING

        return Column(f"{name} accuracy", f"{name}, %", show, beside=(f"{name} published",))

    columns = (Column("row", "model", text, right=False), *map(column, images))
    caption = "Accuracy on each data set, in brackets the highest that others have published"
    if frame[[f"{name} published" for name in images]].isna().all(axis=None):
        caption = "Accuracy on each data set"
    return Table("accuracy", caption, frame.reset_index(), columns)


def _costs(frame: pd.DataFrame, names: Sequence[str]) -> Table:
    columns = (
        Column("row", "model", text, right=False),
        *(
            Column(f"{name} {word}_seconds", f"{name}: {word}, s", three_digits)
            for name in names
            for word in ("fit", "predict")
        ),
    )
    return Table("costs", "Time on each data set, fastest training first", frame.reset_index(), columns)
