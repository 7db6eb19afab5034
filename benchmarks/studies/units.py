"""Measure whether calibration units compare hours, or machines, better than seconds do.

`make bench-units` runs the six models ten times, each run a pause after the last, and shows for each model by
how much two runs disagree: in seconds, in calibration units, and in times of each kernel alone. Nothing else
may run on the machine meanwhile. `--of FOLDER ...` takes the runs in folders of results instead, also of
other machines; `--runs N`, `--pause SECONDS` and the options of `mnistbench run` change what is run.

Two runs disagree about a trial, which is the same in both to the source of its model, by the factor between
their times, less one. A unit is worth having if it at least halves the disagreement in seconds.
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
    """Return the fit time of each trial (model, id, source of the model) in seconds and in each unit."""
    calibrations = [c for session in run.sessions() for c in (*session.before, *session.after)]
    if not calibrations:
        sys.exit(f"{run.path} has no calibration; run it with --measure calibration")
    units = {"seconds": 1.0, "units": statistics.fmean(c.unit_seconds for c in calibrations)}
    for kernel in calibrations[0].medians:
        name = kernel.removesuffix("_seconds").replace("_", " ")
        units[name] = statistics.fmean(c.medians[kernel] for c in calibrations)
    sources = {model.name: model.sha256 for model in run.info().models}
    return {
        (record.trial.model, record.trial.id, sources[record.trial.model]): {
            name: record.measurement.fit_seconds / unit for name, unit in units.items()
        }
        for record in run.records()
        if record.measurement is not None
    }


def disagreements(pairs, unit):
    """Return by how much the two runs of each pair disagree, by model, as shares, ascending."""
    found = {}
    for one, other in pairs:
        for trial in one.keys() & other.keys():
            factor = math.exp(abs(math.log(one[trial][unit] / other[trial][unit])))
            found.setdefault(trial[0], []).append(factor - 1)
    return {model: sorted(found[model]) for model in sorted(found)}


def print_table(console, title, pairs, units):
    """Show each model's median and largest disagreement; return the median over all, by unit."""
    table = Table("model", title=f"{title}, %: median (largest) of {len(pairs)} pairs of runs", box=None)
    for unit in units:
        table.add_column(unit, justify="right")
    found = {unit: disagreements(pairs, unit) for unit in units}
    for model in found["seconds"]:
        rows = (found[unit][model] for unit in units)
        table.add_row(model, *(f"{100 * statistics.median(row):.1f} ({100 * row[-1]:.1f})" for row in rows))
    medians = {unit: statistics.median(itertools.chain(*found[unit].values())) for unit in units}
    table.add_section()
    table.add_row("all", *(f"{100 * medians[unit]:.1f}" for unit in units))
    console.print(table)
    return medians


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
        runs = [(times(run), run.records()[0].environment.cpu) for run in found]
    both = list(itertools.combinations(runs, 2))
    alike = [(one, other) for (one, cpu), (other, other_cpu) in both if cpu == other_cpu]
    unlike = [(one, other) for (one, cpu), (other, other_cpu) in both if cpu != other_cpu]
    if not any(one.keys() & other.keys() for one, other in (*alike, *unlike)):
        sys.exit("two runs or more of the same trials are needed")
    console = Console(highlight=False, width=120)
    for title, pairs in (("The same kind of processor", alike), ("Two kinds of processor", unlike)):
        if any(one.keys() & other.keys() for one, other in pairs):
            medians = print_table(console, title, pairs, list(next(iter(runs[0][0].values()))))
            ratio = medians["units"] / medians["seconds"]
            console.print(
                f"In units they disagree {ratio:.2f} times as much as in seconds "
                f"(worth having: {WORTH_HAVING}).\n"
            )
    sys.exit(ratio > WORTH_HAVING)


if __name__ == "__main__":
    main()
