"""Measure how far forecasts are from what trials take.

`make bench-forecast` runs the suite `scaling` on MNIST and on Fashion-MNIST, from 500 to 60,000 training
images, and foretells every trial again from three kinds of records: those of the other sizes ("by the law"),
those of the sizes up to an eighth of its own, as a pilot has them ("from small subsets"), and those of the
other data set ("from other images"). It shows the median error of the time and of the memory, and the share
of trials within a factor of 1.5; the aim is a median of 20 % at most, and nine in ten within that factor.

Nothing else may run on the machine meanwhile. Where something must, `--cpu` judges the CPU seconds of `fit`
and `predict` instead, which suffer less. `--of FOLDER ...` takes the runs in folders of results instead of
new ones; other options are those of `mnistbench run`, such as `--only`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.analysis.forecasts import NEAR, error
from mnistbench.plan.forecast import Forecaster, known
from mnistbench.runs.folder import find_runs

MEDIAN, WITHIN = 0.2, 0.9
SMALL = 8


def images(each):
    """Return how many images a trial was trained on."""
    return each.measurement.train_images


def same_data(one, other):
    """Return whether two trials are on the same data set."""
    return one.record.trial.dataset_sha256 == other.record.trial.dataset_sha256


WAYS: dict[str, Callable[..., bool]] = {
    "by the law, from other sizes": lambda told, by: same_data(told, by) and images(told) != images(by),
    "from small subsets": lambda told, by: same_data(told, by) and SMALL * images(by) <= images(told),
    "from other images": lambda told, by: not same_data(told, by),
}


def ended(folder):
    """Return the trials of a run."""
    return known(folder, [model.sha256 for model in folder.info().models])


def by_cpu(each):
    """Return the trial as if its `fit` and `predict` had taken their CPU seconds."""
    measured = each.measurement
    cpu = replace(
        measured,
        fit_seconds=measured.fit_cpu_seconds,
        predict_seconds=measured.predict_cpu_seconds,
        threads_used=None,
        load=None,
    )
    return replace(each, measurement=cpu, record=replace(each.record, measurement=cpu))


def judged(trials, way, *, cpu):
    """Return the errors of time and memory of all trials that others foretell in this way."""
    times, memory, inside = [], [], []
    for told in trials:
        forecast = Forecaster(told.setting, [by for by in trials if way(told, by)]).forecast(
            told.record.trial
        )
        if forecast is None:
            continue
        expected = forecast.work_seconds if cpu else forecast.trial_seconds
        took = told.measurement.work_seconds if cpu else told.record.trial_seconds
        times.append(error(expected.value, took))
        inside.append(expected.low <= took <= expected.high)
        memory.append(error(forecast.peak_rss_bytes.value, told.measurement.peak_rss_bytes))
    return times, memory, inside


def main():
    """Run the suite on both data sets, or take runs, and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--of", nargs="+", type=Path, metavar="FOLDER", help="folders of finished runs")
    parser.add_argument("--cpu", action="store_true", help="judge CPU seconds of fit and predict")
    arguments, options = parser.parse_known_args()
    folders = arguments.of
    if folders is None:
        folders = [Path(tempfile.mkdtemp(prefix="mnistbench-forecast-"))]
        run = ["run", "--suite", "scaling", "--dataset", "mnist,fashion-mnist", "--results", str(folders[0])]
        subprocess.run([sys.executable, "-P", "-m", "mnistbench", *run, *options], check=True)
        print(f"The runs are in {folders[0]}.")
    trials = [each for folder in folders for run in find_runs(folder) for each in ended(run)]
    if arguments.cpu:
        trials = [by_cpu(each) for each in trials]
    table = Table(
        "forecast", "trials", "median error", f"within {NEAR}", "in the interval", "memory's", box=None
    )
    for name, way in WAYS.items():
        times, memory, inside = judged(trials, way, cpu=arguments.cpu)
        if times:
            near = statistics.fmean(each <= NEAR - 1 for each in times)
            reached = statistics.median(times) <= MEDIAN and near >= WITHIN
            shares = (statistics.median(times), near, statistics.fmean(inside), statistics.median(memory))
            cells = [f"{100 * share:.0f} %" for share in shares]
            table.add_row(name, str(len(times)), *cells, "" if reached else "misses the aim")
    Console().print(table)


if __name__ == "__main__":
    main()
