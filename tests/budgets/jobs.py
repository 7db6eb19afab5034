"""Measure what a second core saves: the standard suite on one thread a trial, with --jobs 1, then --jobs 2.

`make bench-jobs` runs both and prints the ratio of their wall times. The budget is 0.6; beyond it the exit
status is 1. Options of `mnistbench run` pass through. Run nothing else on the machine meanwhile.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.runs.folder import find_run

BUDGET = 0.6


def measured(jobs, results, options):
    """Run the suite with so many trials at a time; return its wall seconds, and its records by trial."""
    name = f"jobs-{jobs}"
    command = ["run", "--results", results, "--name", name, "--threads", "1", "--jobs", str(jobs)]
    command += ["--measure", "none", *options]
    answer = subprocess.run([sys.executable, "-P", "-m", "mnistbench", *command])
    if answer.returncode:  # the time of a failed trial is not that of the model
        sys.exit(answer.returncode)
    folder = find_run(Path(results), name)
    wall_seconds = sum(session.wall_seconds for session in folder.sessions())
    return wall_seconds, {record.trial.id: record for record in folder.records()}


def fit(record):
    """Return a fit time as text."""
    return f"{record.measurement.fit_seconds:.2f} s"


def main():
    """Run both; exit with status 1 beyond the budget."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", help="folder to keep the two runs in; by default they are deleted")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = arguments.results or temporary
        one_seconds, alone = measured(1, results, options)
        two_seconds, beside = measured(2, results, options)
    table = Table("model", "seed", "fit alone", "fit beside another", box=None, pad_edge=False)
    for trial_id, record in alone.items():
        table.add_row(record.trial.model, str(record.trial.seed), fit(record), fit(beside[trial_id]))
    console = Console(highlight=False)
    console.print(table)
    seconds = [record.trial_seconds for record in alone.values()]
    best = max(sum(seconds) / 2, *seconds) / sum(seconds)
    console.print(f"\n--jobs 1: {one_seconds:.1f} s    --jobs 2: {two_seconds:.1f} s")
    ratio = two_seconds / one_seconds
    console.print(f"ratio: {ratio:.2f} (budget {BUDGET}; the longest trial alone allows {best:.2f})")
    sys.exit(ratio > BUDGET)


if __name__ == "__main__":
    main()
