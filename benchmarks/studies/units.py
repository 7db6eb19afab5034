"""Measure whether calibration units compare hours, or machines, better than seconds do.

`make bench-units` runs the six models ten times, each run a pause after the last, and shows for each model by
how much two runs disagree: in seconds, in calibration units, and in times of each kernel alone. Nothing else
may run on the machine meanwhile. `--of FOLDER ...` takes the runs in folders of results instead, also of
other machines; `--runs N`, `--pause SECONDS` and the options of `mnistbench run` change what is run.

Two runs disagree by the factor between their times, less one. A unit is worth having if it at least halves
the disagreement in seconds.
"""

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.runs.folder import find_runs

WORTH_HAVING = 0.5


def run_repeatedly(folder, count, pause_seconds, options):
    """Make the runs in the folder."""
    for number in range(count):
        time.sleep(pause_seconds if number else 0)
        command = ["run", "--results", folder, "--name", f"run-{number + 1}", "--measure", "calibration"]
        subprocess.run([sys.executable, "-P", "-m", "mnistbench", *command, *options], check=True)


def times(run):
    """Return the fit times of a run by model, each in seconds, in units and in times of each kernel."""
    (session,) = run.sessions()
    calibrations = [*session.before, *session.after]
    if not calibrations:
        sys.exit(f"{run.path} has no calibration; run it with --measure calibration")
    units = {"seconds": 1.0, "units": statistics.fmean(c.unit_seconds for c in calibrations)}
    for kernel in calibrations[0].medians:
        name = kernel.removesuffix("_seconds").replace("_", " ")
        units[name] = statistics.fmean(c.medians[kernel] for c in calibrations)
    return {
        record.trial.model: {name: record.measurement.fit_seconds / unit for name, unit in units.items()}
        for record in run.records()
        if record.measurement is not None
    }


def disagreements(runs, model, unit):
    """Return by how much each pair of runs disagrees about a model, as shares, ascending."""
    values = [run[model][unit] for run in runs if model in run]
    return sorted(math.exp(abs(math.log(a / b))) - 1 for a, b in itertools.combinations(values, 2))


def main():
    """Print the disagreements; exit with status 1 where units do not halve that in seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--of", nargs="*", type=Path, metavar="FOLDER", help="folders of earlier runs")
    parser.add_argument("--runs", type=int, default=10, help="how many runs to make (10)")
    parser.add_argument("--pause", type=float, default=60, help="seconds between two runs (60)")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.of:
            run_repeatedly(folder, arguments.runs, arguments.pause, options)
        found = [run for place in arguments.of or [Path(folder)] for run in find_runs(place)]
        runs = [times(run) for run in found]
    if len(runs) < 2:
        sys.exit("two runs or more are needed")
    models = list(dict.fromkeys(model for run in runs for model in run))
    units = list(next(iter(runs[0].values())))
    table = Table("model", title=f"Disagreement of two of {len(runs)} runs, %: median (largest)", box=None)
    for unit in units:
        table.add_column(unit, justify="right")
    medians = {unit: [] for unit in units}
    for model in models:
        cells = []
        for unit in units:
            found = disagreements(runs, model, unit)
            medians[unit].append(statistics.median(found))
            cells.append(f"{100 * statistics.median(found):.1f} ({100 * found[-1]:.1f})")
        table.add_row(model, *cells)
    table.add_section()
    table.add_row("mean", *(f"{100 * statistics.fmean(medians[unit]):.1f}" for unit in units))
    console = Console(highlight=False, width=120)
    console.print(table)
    ratio = statistics.fmean(medians["units"]) / statistics.fmean(medians["seconds"])
    console.print(
        f"\nIn units runs disagree {ratio:.2f} times as much as in seconds (worth having: {WORTH_HAVING})."
    )
    sys.exit(ratio > WORTH_HAVING)


if __name__ == "__main__":
    main()
