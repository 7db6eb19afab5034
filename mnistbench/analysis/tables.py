"""From records to tables: pandas frames of raw values, and how each column of them is shown.

Frames hold plain values (shares from 0 to 1, seconds, bytes) under the names of `run.COLUMNS`, and go to CSV
as they are. The report shows some of their columns, rounded, under headings that carry the unit.
"""

import statistics
import string
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from mnistbench.analysis.checks import Finding
from mnistbench.analysis.configurations import NOT_RUN, STATUS_NAMES, Configuration, value_text
from mnistbench.analysis.trust import Grade
from mnistbench.runs.records import Forecast, Measurement, ModelInfo, RunInfo, Status
from mnistbench.stats.accuracy import AccuracyEstimate
from mnistbench.stats.verdicts import TieGroup
from mnistbench.text import (
    MISSING,
    count,
    megabytes,
    percent,
    three_digits,
    to_settle,
    visible,
    with_interval,
)

_CAUSE_LENGTH = 100


TimeTrust = tuple[Grade, Grade]
"""How far the training time and the prediction time of a configuration can be trusted."""


@dataclass(frozen=True)
class Column:
    """How one column of a frame is shown."""

    name: str  # the frame's column
    heading: str  # with the unit
    show: Callable[..., str]  # turns its value, followed by those of `beside`, into text
    right: bool = True  # whether it is aligned to the right, as numbers are
    beside: tuple[str, ...] = ()  # further columns of the frame whose values stand in the same cell
    sort_by: str | None = None  # the frame's column by which a reader sorts; the shown one if left out

    def cell(self, row: Mapping[str, Any]) -> str:
        """Return what is shown of one row of the frame."""
        return self.show(row[self.name], *(row[name] for name in self.beside))

    def sort_value(self, row: Mapping[str, Any]) -> Any:
        """Return the value by which one row of the frame is sorted."""
        return row[self.sort_by or self.name]


@dataclass(frozen=True)
class Table:
    """A frame, and the columns of it that the report shows; `name` is the stem of its CSV file.

    `note` says below the table what its columns alone do not.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    note: str = ""

    def rows(self, most: int | None = None) -> list[dict[str, Any]]:
        """Return the raw rows, or the first of them, as `Column.cell` takes them."""
        return typing.cast(list[dict[str, Any]], self.frame.head(most or len(self.frame)).to_dict("records"))

    def cells(self) -> list[list[str]]:
        """Return what is shown: a list of cells for each row."""
        return [[column.cell(row) for column in self.columns] for row in self.rows()]


def text(value: object) -> str:
    """Show a value as it is; nothing where there is none."""
    return MISSING if value is None or value is pd.NA or value != value else str(value)


def results(
    rows: Sequence[Configuration],
    ties: Sequence[TieGroup],
    trust: Mapping[str, TimeTrust],
    models: Sequence[ModelInfo] = (),
) -> Table:
    """Tabulate the headline results of configurations and of their groups of ties, both best first.

    What others have published for the families of `models` stands beside the rows with all training images.
    """
    frame = pd.DataFrame([_result(row) for row in rows])
    images = max((row.test_count for row in rows), default=0)
    several = any(len(row.by_seed) > 1 for row in rows)
    frame["ties"] = [tie_letters(row.label, ties) for row in rows]
    for name, which in (("fit", 0), ("predict", 1)):
        frame[f"{name}_trust"] = [
            str(trust[row.label][which].letter) if row.label in trust else None for row in rows
        ]
    sources = _add_published(frame, rows, models)
    columns = (
        Column("row", "model", text, right=False),
        accuracy_column(f"accuracy, % (95 %{': images' if several else ''})", images),
        *((_published_column(len(sources)),) if sources else ()),
        *worth_columns(frame, images),
        *((seeds_column(images),) if several else ()),
        Column("error_count", "wrong images", count),
        Column("fit_seconds", "fit, s", graded_time, beside=("fit_trust",)),
        Column("predict_seconds", "predict, s", graded_time, beside=("predict_trust",)),
        Column("images_per_second", "images per s", three_digits),
        Column("peak_rss_bytes", "peak RAM, MB", megabytes),
        Column("model_bytes", "model, MB", megabytes),
        *((Column("ties", "tie", str, right=False),) if ties else ()),
        Column("status", "status", text, right=False),
    )
    note = (
        "Published: what others report for a model of the same family on the same test images. "
        + "; ".join(f"[{number}] {source}" for number, source in enumerate(sources, start=1))
        + "."
        if sources
        else ""
    )
    return Table("results", "Best first", frame, columns, note)


def _add_published(
    frame: pd.DataFrame, rows: Sequence[Configuration], models: Sequence[ModelInfo]
) -> list[str]:
    """Add to the frame what each source has published, and the highest of it; return the sources."""
    of_model = {model.name: {each.source: each.accuracy for each in model.published} for model in models}
    given = [{} if row.trials[0].train_size else of_model.get(row.model, {}) for row in rows]
    sources = list(dict.fromkeys(source for each in given for source in each))
    for number, source in enumerate(sources, start=1):
        frame[f"published_{number}"] = [each.get(source) for each in given]
    if sources:
        frame["published"] = frame.filter(regex="^published_").max(axis=1)
    return sources


def _published_column(sources: int) -> Column:
    """Return the column of published accuracies, each with its source's number: "97.3 [1], 96.8 [2]"."""

    def show(_highest: float | None, *given: float | None) -> str:
        written = [
            f"{float(f'{100 * accuracy:.10g}')}\N{NO-BREAK SPACE}[{number}]"
            for number, accuracy in enumerate(given, start=1)
            if accuracy is not None and accuracy == accuracy
        ]
        return ", ".join(written) or MISSING

    beside = tuple(f"published_{number}" for number in range(1, sources + 1))
    return Column("published", "published, %", show, beside=beside)


def verdict_column() -> Column:
    """Return the column of the verdict of a paired test: "cannot tell: about 900 images would settle it"."""

    def show(verdict: str, images: float | None, seeds: float | None, together: bool) -> str:
        if verdict != "cannot tell":
            return verdict
        return f"{verdict}: {to_settle(images, seeds, together=together)}"

    beside = ("images_to_settle", "seeds_to_settle", "settled_together")
    return Column("verdict", "verdict", show, right=False, beside=beside)


def accuracy_column(heading: str, images: int) -> Column:
    """Return the column of an accuracy with its interval over images: "98.37 (98.10-98.60)"."""
    show = partial(with_interval, images=images)
    return Column("accuracy", heading, show, beside=("sampling_low", "sampling_high"))


def worth_columns(frame: pd.DataFrame, images: int) -> tuple[Column, ...]:
    """Return the column of how many independent images these are worth; none where it is not known."""
    if not frame["effective_images"].notna().any():
        return ()
    return (Column("effective_images", f"{images:,} images, worth", three_digits),)


def seeds_column(images: int) -> Column:
    """Return the column of what the seeds vary, half a 95 % interval, and how many there are: "0.13 (3)"."""

    def show(high: float | None, mean: float | None, seeds: int) -> str:
        half = None if high is None or mean is None else high - mean
        return f"{percent(half, images)} ({seeds})" if seeds else MISSING

    return Column("training_high", "seeds: ± (n)", show, beside=("accuracy", "seeds"), sort_by="training_sd")


def graded_time(seconds: float | None, letter: object) -> str:
    """Write a time with how far it can be trusted: "14.2 A"."""
    return f"{three_digits(seconds)}\N{NO-BREAK SPACE}{letter}" if isinstance(letter, str) else MISSING


def accuracy_values(found: AccuracyEstimate | None) -> dict[str, float | int | None]:
    """Return the raw values of an accuracy as the frames name them; empty ones without a successful fit."""
    training = found.training if found else None
    return {
        "seeds": found.fits if found else 0,
        "accuracy": found.mean if found else None,
        "sampling_low": found.sampling.low if found else None,
        "sampling_high": found.sampling.high if found else None,
        "effective_images": found.effective_count if found else None,
        "training_sd": found.training_sd if found else None,
        "training_low": training.low if training else None,
        "training_high": training.high if training else None,
    }


def tie_letters(label: str, ties: Sequence[TieGroup]) -> str:
    """Return the letters of the groups that a configuration belongs to: "ac?"; see `TieGroup`."""
    named = zip(tie_names(len(ties)), ties, strict=True)
    return "".join(f"{name}{'' if group.is_same else '?'}" for name, group in named if label in group.models)


def tie_names(groups: int) -> list[str]:
    """Name groups by letters, best first; past Z they are numbered."""
    letters = string.ascii_letters
    return [letters[i] if i < len(letters) else f"({i})" for i in range(groups)]


SCORES = (
    "macro_precision", "macro_recall", "macro_f1", "top2_accuracy", "log_loss", "brier_score",
    "calibration_error", "adaptive_calibration_error",
)  # fmt: skip
_MEDIANS = ("fit_seconds", "predict_seconds", "images_per_second", "peak_rss_bytes", "model_bytes")


def _result(row: Configuration) -> dict[str, Any]:
    return {
        "model": row.model,
        "row": row.label,
        "train_images": next((m.train_images for m in row.measurements), None),
        "test_images": row.test_count or None,
        **accuracy_values(row.estimate),
        "error_count": row.error_count,
        **scores(row),
        **{name: median([getattr(m, name) for m in row.measurements]) for name in _MEDIANS},
        "status": row.status,
    }


def scores(row: Configuration) -> dict[str, float | None]:
    """Return the means over seeds of every score of `stats.scores.Quality` beside the accuracy."""
    return {name: _mean([getattr(r.quality, name) for r in row.by_seed]) for name in SCORES}


def _mean(values: Sequence[float | None]) -> float | None:
    given = [v for v in values if v is not None]
    return sum(given) / len(given) if given and len(given) == len(values) else None


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of the values there are; None if there are none."""
    given = [v for v in values if v is not None]
    return statistics.median(given) if given else None


def models(rows: Sequence[Configuration], info: RunInfo) -> Table:
    """Tabulate what each configuration is: its engine, device and parameters."""
    files = {model.name: model for model in info.models}
    frame = pd.DataFrame(
        [
            {
                "row": row.label,
                "summary": files[row.model].summary if row.model in files else None,
                "engine": ", ".join(dict.fromkeys(m.engine for m in row.measurements)) or None,
                "device": ", ".join(dict.fromkeys(m.device for m in row.measurements)) or None,
                "train_images": next((m.train_images for m in row.measurements), None),
                "threads": row.trials[0].threads,
                "parameters": parameters(row),
                "path": files[row.model].path if row.model in files else None,
                "sha256": files[row.model].sha256 if row.model in files else None,
            }
            for row in rows
        ]
    )
    columns = (
        Column("row", "model", text, right=False),
        Column("engine", "library", text, right=False),
        Column("device", "device", text, right=False),
        Column("train_images", "training images", count),
        Column("parameters", "parameters", text, right=False),
    )
    return Table("models", "Libraries and parameters", frame, columns)


def parameters(row: Configuration) -> str:
    """Write the parameters of a configuration: "C=10.0, gamma=scale"."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in row.trials[0].parameters.items())


def trials(rows: Sequence[Configuration], forecasts: Mapping[str, Forecast]) -> pd.DataFrame:
    """List every trial of the plan with all that was measured, one row a trial, raw."""
    listed = []
    extended = any(trial.synthetic for row in rows for trial in row.trials)
    for row in rows:
        ended = {r.trial.id: r for r in row.records}
        for trial in row.trials:
            values: dict[str, Any] = {
                "id": trial.id,
                "row": row.label,
                "model": trial.model,
                "parameters": parameters(row),
                "train_size": trial.train_size,
                **({"synthetic_images": trial.synthetic} if extended else {}),
                "seed": trial.seed,
                "threads": trial.threads,
                "split": trial.split,
                "repeat": trial.repeat,
                "status": NOT_RUN,
            }
            if forecast := forecasts.get(trial.id):
                values |= {f"expected_{name}": getattr(forecast, name).value for name in FORETOLD}
            record = ended.get(trial.id)
            if record is not None:
                values |= {
                    "status": STATUS_NAMES[record.status],
                    "cause": str(record.failure) if record.failure else None,
                    "host": record.environment.host,
                    "started_at": record.started_at,
                    "trial_seconds": record.trial_seconds,
                    "beside": record.beside,
                    "attempts": record.attempts,
                    "predictions_sha256": record.predictions_sha256,
                }
                if record.measurement is not None:
                    values |= _flat(record.measurement)
                if record.quality is not None:
                    values |= vars(record.quality)
            listed.append(values)
    return pd.DataFrame(listed)


def _flat(measurement: Measurement) -> dict[str, Any]:
    values = {name: value for name, value in vars(measurement).items() if name not in _PARTS}
    return {**values, "warnings": "; ".join(measurement.warnings)}


FORETOLD = ("work_seconds", "trial_seconds", "peak_rss_bytes")
"""What a forecast is of."""

# No plain values, and one that tells nothing of the trial.
_PARTS = ("load", "inference", "cold_start", "learning_curve", "copies_sha256", "learns_by_blocks")


def failures(rows: Sequence[Configuration]) -> Table | None:
    """Tabulate the trials that did not succeed; None where there are none."""
    frame = pd.DataFrame(
        [
            {
                "row": row.label,
                "seed": r.trial.seed,
                "repeat": r.trial.repeat,
                "status": STATUS_NAMES[r.status],
                "cause": _shortened(str(r.failure) if r.failure else "unknown"),
                "trial_seconds": r.trial_seconds,
                "id": r.trial.id,
            }
            for row in rows
            for r in row.records
            if r.status is not Status.OK
        ]
    )
    if frame.empty:
        return None
    columns = (
        Column("row", "model", text, right=False),
        Column("seed", "seed", text),
        Column("status", "status", text, right=False),
        Column("trial_seconds", "after, s", three_digits),
        Column("cause", "cause", text, right=False),
    )
    return Table("failures", "Trials that did not succeed", frame, columns)


def _shortened(cause: str) -> str:
    return cause if len(cause) <= _CAUSE_LENGTH else cause[: _CAUSE_LENGTH - 4] + " ..."


def findings(found: Sequence[Finding]) -> pd.DataFrame:
    """List what the checks found."""
    return pd.DataFrame(
        [{"code": f.code, "row": f.label, "message": f.message, "advice": f.advice} for f in found],
        columns=["code", "row", "message", "advice"],
    )


def csv(frame: pd.DataFrame, info: RunInfo, *, exact: bool) -> bytes:
    """Write a frame of a run as CSV, every row of which says which images it is about.

    Numbers are `exact` to their last bit, as those of records are, or else have ten digits: the last bits of
    a test's p-value depend on the processor that computes it.
    """
    described = labelled(frame, info)
    for name in described.columns:
        if not pd.api.types.is_numeric_dtype(described[name]):
            described[name] = described[name].map(lambda v: visible(v) if isinstance(v, str) else v)
    written: str = described.to_csv(index=False, lineterminator="\n", float_format=None if exact else "%.10g")
    return written.encode()


def labelled(frame: pd.DataFrame, info: RunInfo) -> pd.DataFrame:
    """Return a frame's raw values behind two columns, dataset and split, that name the images of each row."""
    described = frame.drop(columns="split", errors="ignore")
    name = f"{info.dataset.name} instead of MNIST" if info.dataset.fallback_reason else info.dataset.name
    described.insert(0, "dataset", name)
    described.insert(1, "split", info.split)
    return described
