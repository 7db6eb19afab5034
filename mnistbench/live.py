"""What a run shows while it works: a live table in a terminal, plain lines elsewhere, JSON for programs."""

import json
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnistbench.configurations import STATUS_NAMES, value_text
from mnistbench.formats import duration, visible
from mnistbench.isolation import Activity
from mnistbench.records import Record, Status, Trial

_STYLES = {Status.OK: "green", Status.UNAVAILABLE: "yellow"}
_RESERVED_LINES = 6  # the table's own frame, its summary, and the prompt


def trial_labels(trials: Sequence[Trial]) -> dict[str, str]:
    """Name each trial after its model, and after whatever differs between the run's trials of that model."""
    labels = {}
    for trial in trials:
        siblings = [other for other in trials if other.model == trial.model]
        details = [
            f"{name}={value_text(value)}"
            for name, value in trial.parameters.items()
            if any(other.parameters.get(name) != value for other in siblings)
        ]
        if len({other.train_size for other in siblings}) > 1:
            details.append(f"{trial.train_size or 'all'} images")
        if len({other.threads for other in siblings}) > 1:
            details.append(f"{trial.threads} threads")
        if len({other.seed for other in siblings}) > 1:
            details.append(f"seed {trial.seed}")
        if len({other.repeat for other in siblings}) > 1:
            details.append(f"repeat {trial.repeat}")
        labels[trial.id] = visible(f"{trial.model} {', '.join(details)}".strip())
    return labels


def flat_record(record: Record) -> dict[str, Any]:
    """Return the values of a record that programs ask for most, in one level, as `--json` prints them."""
    trial, measured, scored, failure = record.trial, record.measurement, record.quality, record.failure
    return {
        "id": trial.id,
        "model": trial.model,
        "seed": trial.seed,
        "status": record.status.value,
        "accuracy": scored.accuracy if scored else None,
        "error_count": scored.error_count if scored else None,
        "macro_f1": scored.macro_f1 if scored else None,
        "log_loss": scored.log_loss if scored else None,
        "fit_seconds": measured.fit_seconds if measured else None,
        "predict_seconds": measured.predict_seconds if measured else None,
        "peak_rss_bytes": measured.peak_rss_bytes if measured else None,
        "model_bytes": measured.model_bytes if measured else None,
        "trial_seconds": record.trial_seconds,
        "dataset": trial.dataset,
        "split": trial.split,
        "train_size": trial.train_size,
        "threads": trial.threads,
        "repeat": trial.repeat,
        "parameters": dict(trial.parameters),
        "failure": f"{failure.kind}: {failure.message}" if failure else None,
    }


class Silent:
    """Shows nothing."""

    def started(self, trial: Trial) -> None:
        """Show nothing."""

    def activity(self, trial: Trial, activity: Activity) -> None:
        """Show nothing."""

    def finished(self, record: Record) -> None:
        """Show nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class JsonLines(Silent):
    """Prints one JSON object for each finished trial, one a line, and passes everything on."""

    def __init__(self, inner: Silent, stream: IO[str] | None = None) -> None:
        self._inner = inner
        self._stream = stream or sys.stdout

    def started(self, trial: Trial) -> None:
        """Pass it on."""
        self._inner.started(trial)

    def activity(self, trial: Trial, activity: Activity) -> None:
        """Pass it on."""
        self._inner.activity(trial, activity)

    def finished(self, record: Record) -> None:
        """Print the record's values."""
        print(json.dumps(flat_record(record)), file=self._stream, flush=True)
        self._inner.finished(record)

    def __enter__(self) -> "JsonLines":
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._inner.__exit__(*raised)


class PlainLines(Silent):
    """Prints a line when a trial starts and one when it ends, for logs and pipes."""

    def __init__(self, console: Console, trials: Sequence[Trial], finished: Sequence[Record]) -> None:
        self._console = console
        self._labels = trial_labels(trials)
        self._total = len(trials)
        self._ended = len(finished)
        self._lock = threading.Lock()

    def started(self, trial: Trial) -> None:
        """Say that a trial begins."""
        self._print(f"{self._labels[trial.id]}: started")

    def finished(self, record: Record) -> None:
        """Say how a trial ended."""
        with self._lock:
            self._ended += 1
        self._print(f"{self._labels[record.trial.id]}: {_ending(record)}")

    def _print(self, text: str) -> None:
        width = len(str(self._total))
        self._console.print(
            Text(f"[{self._ended:>{width}}/{self._total}] {text}"), soft_wrap=True, highlight=False
        )


class LiveTable(Silent):
    """A table that follows every trial while it runs; it never grows beyond the terminal."""

    def __init__(self, console: Console, trials: Sequence[Trial], finished: Sequence[Record]) -> None:
        self._trials = list(trials)
        self._labels = trial_labels(trials)
        self._records = {record.trial.id: record for record in finished}
        self._running: dict[str, Activity] = {}
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._live = Live(self, console=console, refresh_per_second=5, transient=False)

    def started(self, trial: Trial) -> None:
        """Show the trial as running."""
        with self._lock:
            self._running[trial.id] = Activity("start", 0.0)

    def activity(self, trial: Trial, activity: Activity) -> None:
        """Show what the trial is doing."""
        with self._lock:
            self._running[trial.id] = activity

    def finished(self, record: Record) -> None:
        """Show how the trial ended."""
        with self._lock:
            self._running.pop(record.trial.id, None)
            self._records[record.trial.id] = record

    def __enter__(self) -> "LiveTable":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table as it is now, at the terminal's present size."""
        with self._lock:
            room = max(3, (options.height or console.height) - _RESERVED_LINES)
            yield self._drawn(room)

    def _drawn(self, room: int) -> RenderableType:
        table = Table(box=None, pad_edge=False, expand=False, header_style="bold")
        table.add_column("model", no_wrap=True, overflow="ellipsis", max_width=30)
        table.add_column("state", no_wrap=True, min_width=9)
        table.add_column("time", justify="right", no_wrap=True, min_width=8)
        table.add_column("progress", no_wrap=True, min_width=15)
        table.add_column("accuracy", justify="right", no_wrap=True)
        table.add_column("fit", justify="right", no_wrap=True, min_width=6)
        for trial in self._visible_trials(room):
            table.add_row(*self._row(trial))
        return Group(table, Text(""), self._summary())

    def _visible_trials(self, room: int) -> list[Trial]:
        if len(self._trials) <= room:
            return self._trials
        first_open = next(
            (n for n, trial in enumerate(self._trials) if trial.id not in self._records), len(self._trials)
        )
        start = min(max(0, first_open - room // 2), len(self._trials) - room)
        return self._trials[start : start + room]

    def _row(self, trial: Trial) -> tuple[RenderableType, ...]:
        label = Text(self._labels[trial.id])
        if trial.id in self._records:
            record = self._records[trial.id]
            style = _STYLES.get(record.status, "red")
            accuracy = f"{100 * record.quality.accuracy:.2f} %" if record.quality else ""
            fit = duration(record.measurement.fit_seconds) if record.measurement else ""
            return (
                label,
                Text(STATUS_NAMES[record.status], style=style),
                Text(duration(record.trial_seconds)),
                Text(""),
                Text(accuracy, style="bold"),
                Text(fit),
            )
        if trial.id in self._running:
            activity = self._running[trial.id]
            return (
                label,
                Text(activity.phase, style="cyan"),
                Text(duration(activity.elapsed_seconds)),
                _progress(activity),
                Text(""),
                Text(""),
            )
        return (label, Text("waiting", style="dim"), Text(""), Text(""), Text(""), Text(""))

    def _summary(self) -> Text:
        ended = len(self._records)
        text = f"{ended} of {len(self._trials)} trials done, {duration(time.monotonic() - self._began)}"
        memory = sum(activity.rss_bytes for activity in self._running.values())
        if memory:
            text += f", {memory / 1e6:,.0f} MB in use"
        return Text(text, style="dim")


def _progress(activity: Activity) -> Text:
    if activity.done is None or not activity.total:
        return Text("")
    filled = round(8 * activity.done / activity.total)
    bar = Text("━" * filled, style="cyan") + Text("─" * (8 - filled), style="dim")
    return bar + Text(f" {visible(activity.unit)} {activity.done}/{activity.total}")


def _ending(record: Record) -> str:
    if record.quality is not None and record.measurement is not None:
        return (
            f"{STATUS_NAMES[record.status]}, accuracy {100 * record.quality.accuracy:.2f} %, "
            f"fit {duration(record.measurement.fit_seconds)}, "
            f"predict {duration(record.measurement.predict_seconds)}"
        )
    cause = f" ({record.failure.kind}: {record.failure.message})" if record.failure else ""
    return visible(f"{STATUS_NAMES[record.status]}{cause}")
