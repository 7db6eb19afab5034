"""The progress of a run: a live table in a terminal, plain lines elsewhere, JSON for programs."""

import contextlib
import heapq
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Literal, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnistbench.analysis.configurations import STATUS_NAMES, value_text
from mnistbench.cli.eta import Estimates, likeness
from mnistbench.cli.output import complain
from mnistbench.execution.isolation import Activity
from mnistbench.runs.records import Forecast, Record, Status, Trial
from mnistbench.text import duration, visible

_STYLES = {
    Status.OK: "green",
    **dict.fromkeys((Status.UNAVAILABLE, Status.LEFT_OUT, Status.REFUSED), "yellow"),
}
_RESERVED_LINES = 7  # the table's heading, the lines below it, and the prompt
_ROOMY = 72  # columns of the terminal from which a running trial has a bar
_OTHERS = 50  # columns that the others need beside the progress
_BAR = 8
_BEST = 20  # trials that the line of the best may name; it is cut to the terminal's width
_STOPPING = "stopping; this takes a few seconds."
# The columns of the table: from which width of the terminal, the least width, so that little moves, and
# how the cells are aligned.
_COLUMNS: dict[str, tuple[int, int, Literal["left", "right"]]] = {
    "model": (0, 0, "left"),
    "state": (0, 8, "left"),
    "time": (50, 6, "right"),
    "progress": (_ROOMY, 23, "left"),
    "accuracy": (0, 8, "right"),
    "fit": (86, 6, "right"),
}


def trial_labels(trials: Sequence[Trial]) -> dict[str, str]:
    """Name each trial after its model, and after whatever differs between the run's trials of that model."""
    details = [(trial, _details(trial)) for trial in trials]
    planned = Counter(trial.model for trial in trials)
    shared = Counter((trial.model, detail) for trial, found in details for detail in found)
    labels = {}
    for trial, found in details:
        own = [detail for detail in found if shared[trial.model, detail] < planned[trial.model]]
        labels[trial.id] = visible(f"{trial.model} {', '.join(own)}".strip())
    return labels


def _details(trial: Trial) -> list[str]:
    return [
        *(f"{name}={value_text(value)}" for name, value in trial.parameters.items()),
        trial.size_label,
        f"{trial.threads} threads",
        f"seed {trial.seed}",
        f"repeat {trial.repeat}",
    ]


def flat_record(record: Record) -> dict[str, Any]:
    """Return the values of a record that programs ask for most, in one level, as `--json` prints them."""

    def values(source: object, *names: str) -> dict[str, Any]:
        return {name: getattr(source, name) if source is not None else None for name in names}

    measured = ("fit_seconds", "predict_seconds", "peak_rss_bytes", "model_bytes")
    return {
        **values(record.trial, "id", "model", "seed"),
        "status": record.status.value,
        **values(record.quality, "accuracy", "error_count", "macro_f1", "log_loss"),
        **values(record.measurement, *measured),
        "trial_seconds": record.trial_seconds,
        **values(record.trial, "dataset", "split", "train_size", "threads", "repeat"),
        "parameters": dict(record.trial.parameters),
        "failure": str(record.failure) if record.failure else None,
    }


class View:
    """Follows a run, shows nothing itself, and writes each record to `json_lines` if that is a stream."""

    json_lines: IO[str] | None = None

    def started(self, trial: Trial) -> None:
        """Show that a trial begins, or begins again on another worker of a cluster."""

    def activity(self, trial: Trial, activity: Activity) -> None:
        """Show what a trial is doing."""

    def finished(self, record: Record) -> None:
        """Show how a trial ended."""
        if self.json_lines is not None:
            print(json.dumps(flat_record(record)), file=self.json_lines, flush=True)

    def stopping(self) -> None:
        """Show that the run was interrupted; a signal handler calls this, so it may wait for no lock."""
        with contextlib.suppress(RuntimeError):  # the signal came while a line was being written
            complain(_STOPPING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class PilotLines(View):
    """Prints a line on standard error when a trial of a pilot starts."""

    def started(self, trial: Trial) -> None:
        """Print that a trial begins."""
        complain(f"pilot: {visible(trial.model)} on {trial.size_label}, to foretell its trials")


class PlainLines(View):
    """Prints a line when a trial starts and one when it ends, for logs and pipes."""

    def __init__(self, console: Console, trials: Sequence[Trial], finished: Sequence[Record]) -> None:
        self._console = console
        self._labels = trial_labels(trials)
        self._total = len(trials)
        self._ended = len(finished)
        self._begun: set[str] = set()
        self._lock = threading.Lock()

    def started(self, trial: Trial) -> None:
        """Print that a trial begins, or begins again."""
        again = " again" if trial.id in self._begun else ""
        self._begun.add(trial.id)
        self._print(f"{self._labels[trial.id]}: started{again}")

    def finished(self, record: Record) -> None:
        """Print how a trial ended."""
        super().finished(record)
        with self._lock:
            self._ended += 1
        self._print(f"{self._labels[record.trial.id]}: {_ending(record)}")

    def _print(self, text: str) -> None:
        width = len(str(self._total))
        self._console.print(
            Text(f"[{self._ended:>{width}}/{self._total}] {text}"), soft_wrap=True, highlight=False
        )


class LiveTable(View):
    """A table that follows every trial while it runs; it never grows beyond the terminal.

    The best models so far are listed beside it, or in one line below where there is no room. The last line
    that each running trial has printed is below as well. A narrow terminal gets fewer columns, but always the
    model and its accuracy.
    """

    def __init__(
        self,
        console: Console,
        trials: Sequence[Trial],
        finished: Sequence[Record],
        forecasts: Mapping[str, Forecast] | None = None,
        side_by_side: int = 1,
    ) -> None:
        """Show a run's trials, which take about as long as their forecasts say, by their ids."""
        self._trials = list(trials)
        self._labels = trial_labels(trials)
        self._records = {record.trial.id: record for record in finished}
        self._best: list[Record] = []
        self._rank(finished)
        self._running: dict[str, tuple[Trial, Activity]] = {}
        # It is drawn several times a second, so that no step of it may go through all trials of a large run.
        self._waiting = Counter(likeness(trial) for trial in trials if trial.id not in self._records)
        self._first_open = 0
        self._again: set[str] = set()
        self._estimates = Estimates(finished, trials, forecasts)
        self._side_by_side = side_by_side
        self._lock = threading.Lock()
        self._is_stopping = False
        self._began = time.monotonic()
        self._live = Live(self, console=console, refresh_per_second=5, transient=False)

    def started(self, trial: Trial) -> None:
        """Show the trial as running, for the second time if a cluster had to move it."""
        with self._lock:
            if trial.id in self._running:
                self._again.add(trial.id)
            else:
                self._waiting[likeness(trial)] -= 1
            self._running[trial.id] = trial, Activity("start", 0.0)

    def activity(self, trial: Trial, activity: Activity) -> None:
        """Show what the trial is doing."""
        with self._lock:
            self._running[trial.id] = trial, activity

    def finished(self, record: Record) -> None:
        """Show how the trial ended."""
        super().finished(record)
        with self._lock:
            if self._running.pop(record.trial.id, None) is None:
                self._waiting[likeness(record.trial)] -= 1
            self._records[record.trial.id] = record
            self._rank([record])
            self._estimates.learn(record)

    def stopping(self) -> None:
        """Show in place of the summary that the run was interrupted."""
        self._is_stopping = True

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table as it is now, at the terminal's present size."""
        with self._lock:
            room = max(3, (options.height or console.height) - _RESERVED_LINES)
            yield self._drawn(room, options.max_width)

    def _drawn(self, room: int, width: int) -> RenderableType:
        roomy = width >= _ROOMY
        logs = self._logs(max(room // 4, 1))
        shown = {name: column for name, column in _COLUMNS.items() if width >= column[0]}
        table = Table(box=None, padding=(0, 2 if roomy else 1, 0, 0), pad_edge=False, header_style="bold")
        for name, (_, least, side) in shown.items():
            most = max(least, width - _OTHERS) if name == "progress" else None
            # Only the model's name gives way where the terminal is too narrow for all.
            table.add_column(name, no_wrap=name != "model", min_width=least, max_width=most, justify=side)
        for trial in self._visible_trials(room - len(logs)):
            cells = self._row(trial, roomy=roomy)
            table.add_row(*(_line(cells.get(name, Text(""))) for name in shown))
        footer = [_line(Text(_STOPPING, style="bold")) if self._is_stopping else self._summary(roomy=roomy)]
        if self._best:
            lead = "best so far: " if roomy else "best: "
            named = ", ".join(f"{self._labels[each.trial.id]} {_accuracy(each)}" for each in self._best)
            footer.insert(0, _line(Text(lead + named, style="dim")))
        return Group(table, Text(""), *logs, *footer)

    def _visible_trials(self, room: int) -> list[Trial]:
        if len(self._trials) <= room:
            return self._trials
        room = max(room, 1)
        while self._first_open < len(self._trials) and self._trials[self._first_open].id in self._records:
            self._first_open += 1
        start = min(max(0, self._first_open - room // 2), len(self._trials) - room)
        return self._trials[start : start + room]

    def _row(self, trial: Trial, *, roomy: bool) -> dict[str, Text]:
        """Return a trial's cells by column, without the empty ones."""
        label = Text(self._labels[trial.id])
        if trial.id in self._records:
            record = self._records[trial.id]
            style = _STYLES.get(record.status, "red")
            return {
                "model": label,
                "state": Text(STATUS_NAMES[record.status], style=style),
                "time": Text(duration(record.trial_seconds)),
                "accuracy": Text(_accuracy(record), style="bold"),
                "fit": Text(_fit(record)),
            }
        if trial.id in self._running:
            _, activity = self._running[trial.id]
            state = f"{activity.phase}{' again' if trial.id in self._again else ''}"
            if not roomy and activity.done is not None and activity.total:
                state += f" {activity.done}/{activity.total}"
            return {
                "model": label,
                "state": Text(state, style="cyan"),
                "time": Text(duration(activity.elapsed_seconds)),
                "progress": _progress(activity, self._estimates.seconds_left(trial, activity)),
            }
        expected = self._estimates.expected_seconds(likeness(trial))
        about = "" if expected is None else f"about {duration(round(expected))}"
        return {"model": label, "state": Text("waiting", style="dim"), "progress": Text(about, style="dim")}

    def _rank(self, ended: Iterable[Record]) -> None:
        """Add the successful ones to the best trials, most accurate first."""

        def rank(record: Record) -> tuple[float, str]:
            return -record.quality.accuracy if record.quality else 0.0, self._labels[record.trial.id]

        scored = (record for record in ended if record.quality is not None)
        self._best = heapq.nsmallest(_BEST, [*self._best, *scored], key=rank)

    def _logs(self, most: int) -> list[Text]:
        """Return the last line of each running trial that has printed something, at most so many."""
        return [
            _line(Text(visible(f"{self._labels[trial_id]}: {activity.last_line}"), style="yellow"))
            for trial_id, (_, activity) in self._running.items()
            if activity.last_line
        ][:most]

    def _summary(self, *, roomy: bool) -> Text:
        noun, and_, in_use = ("trials ", " and", " in use") if roomy else ("", ",", "")
        elapsed = duration(time.monotonic() - self._began)
        text = f"{len(self._records)} of {len(self._trials)} {noun}done, {elapsed}"
        running = list(self._running.values())
        left = self._estimates.run_seconds_left(self._waiting, running, self._side_by_side)
        if left is not None and len(self._records) < len(self._trials):
            text += f", about {_estimated(left)} left"
        memory = sum(activity.rss_bytes for _, activity in running)
        if memory:
            cores = sum(activity.busy_cores for _, activity in running)
            text += f"; {memory / 1e6:,.0f} MB{and_} {cores:.1f} cores{in_use}"
        return _line(Text(text, style="dim"))


def _line(text: Text) -> Text:
    return Text.assemble(text, no_wrap=True, overflow="ellipsis")


def _accuracy(record: Record) -> str:
    return f"{100 * record.quality.accuracy:.2f} %" if record.quality else ""


def _fit(record: Record) -> str:
    return duration(record.measurement.fit_seconds) if record.measurement else ""


def _progress(activity: Activity, seconds_left: float | None) -> Text:
    """Draw a trial's progress: by the model's own count, else by the time that it is expected to take."""
    left = "" if seconds_left is None else f" {_estimated(seconds_left)} left"
    if activity.done is not None and activity.total:
        share = activity.done / activity.total
        count = f" {visible(activity.unit)} {activity.done}/{activity.total}"
    elif seconds_left is not None:
        share = activity.elapsed_seconds / max(activity.elapsed_seconds + seconds_left, 1e-9)
        count = ""
    else:
        return Text("")
    filled = round(_BAR * min(share, 1.0))
    bar = Text("━" * filled, style="cyan")
    bar += Text("─" * (_BAR - filled), style="dim")
    return bar + Text(count + left)


def _estimated(seconds: float) -> str:
    """Write an estimated time, which is not known to fractions of a second."""
    return f"{seconds:.0f} s" if seconds < 100 else duration(seconds)


def _ending(record: Record) -> str:
    if record.quality is not None and record.measurement is not None:
        return (
            f"{STATUS_NAMES[record.status]}, accuracy {_accuracy(record)}, fit {_fit(record)}, "
            f"predict {duration(record.measurement.predict_seconds)}"
        )
    cause = f" ({record.failure})" if record.failure else ""
    return visible(f"{STATUS_NAMES[record.status]}{cause}")
