"""Measure what the harness itself costs at 10, 100, 1,000 and 10,000 trials of a model that does nothing.

`make bench-harness` plans each run and interrupts it after its first trials, copies their records to all
others but the last, and runs these with --resume, which ends with the report: as a user does, in a terminal.
`--really N` runs N trials of each run (20), the rest are copies. Beyond the budget the exit status is 1: a
trial of the largest run costs at most 1.5 times one of the smallest, its report is written within 20 s, and
the parent never takes more than 300 MB.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import pty
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.runs.folder import RunFolder
from mnistbench.runs.json import to_json

GROWTH, REPORT_SECONDS, MEGABYTES = 1.5, 20, 300
MODEL = '''"""A model that always gives one answer."""

import numpy as np


class Constant:
    def __init__(self, answer):
        self.answer = answer

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), self.answer)


def build(seed, answer=0):
    return Constant(answer % 10)
'''
# The command line, which notes its peak memory (kilobytes on Linux) as it ends. A small process starts it, so
# that the peak is its own.
COMMAND = """
import atexit, pathlib, resource, sys
note = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: note.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)))
from mnistbench.cli import main
main()
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a run of so many trials costs.

    Attributes:
        plan_seconds: From the prompt to the run's folder.
        first_trial_seconds: From the end of one trial to the next, the median of the first trials.
        resume_seconds: From the prompt to the end of the first trial after it, less the median trial.
        last_trial_seconds: The median of the last trials.
        report_seconds: From the last trial to the prompt.
        megabytes: Peak resident memory of the parent.
    """

    trials: int
    plan_seconds: float
    first_trial_seconds: float
    resume_seconds: float
    last_trial_seconds: float
    report_seconds: float
    megabytes: float


def measured(place, count, seeds, really):
    """Plan, run, resume and report so many trials in a folder; return what that costs."""
    models = place / "models"
    models.mkdir()
    (models / "constant.py").write_text(MODEL)
    folder = RunFolder(place / "results" / "run")
    half = min(count, really) // 2
    answers = ",".join(str(n) for n in range(count // seeds))
    plan = ["--models", str(models), "--only", "constant", "--set", f"constant.answer={answers}"]
    plan += ["--dataset", "digits", "--seeds", f"0-{seeds - 1}", "--threads", "1", "--measure", "none"]
    began, _, plan_megabytes = run(place, ["run", "--name", "run", *plan], folder, stop_after=half)
    planned_at = (folder.path / "run.json").stat().st_mtime
    first = fill(folder, half)
    resumed, ended, megabytes = run(place, ["run", "--resume", "run"], folder)
    last = folder.records()[-half:]
    first_seconds, last_seconds = seconds_each(folder, first), seconds_each(folder, last)
    return Cost(
        trials=len(folder.records()),
        plan_seconds=planned_at - began,
        first_trial_seconds=first_seconds,
        resume_seconds=ended_at(folder, last[0]) - resumed - last_seconds,
        last_trial_seconds=last_seconds,
        report_seconds=ended - ended_at(folder, last[-1]),
        megabytes=max(plan_megabytes, megabytes),
    )


def run(place, command, folder, stop_after=None):
    """Run a command, and interrupt it after so many trials; return its times of start and end, and its MB."""
    note = place / "peak"
    ours, its = pty.openpty()
    command = [*command, "--results", str(folder.path.parent)]
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", COMMAND, str(note), *command],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(its)
    shown = bytearray()
    reader = threading.Thread(target=drain, args=(ours, shown))
    reader.start()
    while stop_after is not None and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if sum(1 for _ in (folder.path / "logs").iterdir()) >= stop_after:
                process.send_signal(signal.SIGINT)
                break
        time.sleep(0.02)
    status = process.wait()
    ended = time.time()
    reader.join()
    os.close(ours)
    if status != (0 if stop_after is None else 130):
        sys.exit(f"mnistbench {command[0]} ended with {status}: {shown[-3000:].decode()}")
    return began, ended, int(note.read_text()) / 1e3


def drain(terminal, shown):
    """Read what a terminal shows until it is closed, which Linux reports as an error."""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            shown += chunk
            del shown[:-3000]


def fill(folder, left):
    """Give every trial but so many at the end a record, copied from the first, which are returned."""
    records = folder.records()
    known = {record.trial.id for record in records}
    missing = [trial for trial in folder.info().trials if trial.id not in known]
    with (folder.path / "records.jsonl").open("a") as lines:
        copied = zip(missing[: len(missing) - left], itertools.cycle(records), strict=False)
        for number, (trial, record) in enumerate(copied, start=1):
            for kind in ("predictions/{}.npz", "logs/{}.log"):
                shutil.copy(folder.path / kind.format(record.trial.id), folder.path / kind.format(trial.id))
            # No two are equally fast, as real ones: the report names all that none is better than.
            seconds = record.measurement.fit_seconds * (1 + number / 1_000)
            measurement = dataclasses.replace(record.measurement, fit_seconds=seconds)
            copy = dataclasses.replace(record, trial=trial, measurement=measurement)
            lines.write(json.dumps(to_json(copy)) + "\n")
    return records


def ended_at(folder, record):
    """Return when a trial ended: its log is written once, just before its record."""
    return (folder.path / "logs" / f"{record.trial.id}.log").stat().st_mtime


def seconds_each(folder, records):
    """Return the median time from the end of one trial to that of the next."""
    times = [ended_at(folder, record) for record in records]
    return statistics.median(after - before for before, after in itertools.pairwise(times))


def main():
    """Measure each run and print its costs; exit with status 1 beyond the budget."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", type=int, nargs="*", default=[10, 100, 1_000, 10_000])
    parser.add_argument(
        "--seeds", type=int, default=10, help="trials of each configuration, a row of the report"
    )
    parser.add_argument("--really", type=int, default=20, help="trials of each run that are not copies")
    parser.add_argument("--place", help="where the runs are made, for example on a memory disk")
    options = parser.parse_args()
    if min(options.really, *options.trials) < 10:
        parser.error(
            "a median of fewer than ten trials tells nothing: expected 10 or more, also with --really"
        )
    table = Table(
        *(
            "trials",
            "plan s",
            "first trials, s each",
            "resume s",
            "last trials, s each",
            "report s",
            "peak MB",
        ),
        box=None,
        pad_edge=False,
    )
    costs = []
    for count in options.trials:
        with tempfile.TemporaryDirectory(dir=options.place) as place:
            costs.append(cost := measured(Path(place), count, min(options.seeds, count), options.really))
        seconds = dataclasses.astuple(cost)[1:-1]
        table.add_row(f"{cost.trials:,}", *(f"{each:.2f}" for each in seconds), f"{cost.megabytes:.0f}")
    growth = costs[-1].last_trial_seconds / costs[0].first_trial_seconds
    largest, megabytes = costs[-1].report_seconds, max(cost.megabytes for cost in costs)
    console = Console(highlight=False, width=100)
    console.print(table)
    console.print(
        f"\nA trial of the largest run costs {growth:.2f} times one of the smallest (at most {GROWTH}), "
        f"its report {largest:.1f} s (at most {REPORT_SECONDS}); "
        f"peak {megabytes:.0f} MB (at most {MEGABYTES})."
    )
    sys.exit(growth > GROWTH or largest > REPORT_SECONDS or megabytes > MEGABYTES)


if __name__ == "__main__":
    main()
