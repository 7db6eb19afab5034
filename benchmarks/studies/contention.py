"""Measure what one busy process beside the suite costs each family, and what bounding the spins costs.

`make bench-contention` runs the models alone, alone again with the spins that GNU's OpenMP takes by default,
and beside one endless loop in a session of its own, as a browser or a colleague's job would be. Linux shares
the cores between sessions, so that loop leaves two threads little more than one core. Nothing else may run
on the machine meanwhile. Options of `mnistbench run` pass through.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.runs.folder import find_run

MOST_SLOWER_BESIDE = 3.0
MOST_SLOWER_ALONE = 1.05
DEFAULT_SPINS = "300000"  # GCC's manual of libgomp, GOMP_SPINCOUNT

HIST_GRADIENT_BOOSTING = '''"""Histogram gradient boosting, five rounds (scikit-learn)."""

from sklearn.ensemble import HistGradientBoostingClassifier


def build(seed):
    return HistGradientBoostingClassifier(max_iter=5, early_stopping=False, random_state=seed)
'''


@contextlib.contextmanager
def busy_process():
    """Keep one core busy from another session."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()


def fit_seconds(name, results, models, options, spins=None):
    """Run the models; return the fit time of each, by name."""
    environment = {**os.environ, **({"GOMP_SPINCOUNT": spins} if spins else {})}
    command = ["run", "--results", results, "--name", name, "--models", models, "--measure", "none", *options]
    answer = subprocess.run([sys.executable, "-P", "-m", "mnistbench", *command], env=environment)
    if answer.returncode:  # the time of a failed trial is not that of the model
        sys.exit(answer.returncode)
    records = find_run(Path(results), name).records()
    return {record.trial.model: record.measurement.fit_seconds for record in records}


def main():
    """Measure the three; exit with status 1 where a model is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train-size", default="10000", help="training images (10000)")
    arguments, options = parser.parse_known_args()
    options = ["--train-size", arguments.train_size, *options]
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        (models / "hist_gradient_boosting.py").write_text(HIST_GRADIENT_BOOSTING, encoding="utf-8")
        alone = fit_seconds("alone", folder, str(models), options)
        spinning = fit_seconds("default-spins", folder, str(models), options, DEFAULT_SPINS)
        with busy_process():
            beside = fit_seconds("beside", folder, str(models), options)
    table = Table("fit, s", "alone", "default spins", "ratio", "beside", "ratio", box=None, pad_edge=False)
    slow = []
    for model, seconds in alone.items():
        cost, factor = seconds / spinning[model], beside[model] / seconds
        if cost > MOST_SLOWER_ALONE or factor > MOST_SLOWER_BESIDE:
            slow.append(model)
        times = (f"{seconds:.2f}", f"{spinning[model]:.2f}", f"{cost:.2f}", f"{beside[model]:.2f}")
        table.add_row(model, *times, f"{factor:.2f}")
    console = Console(highlight=False)
    console.print(table)
    bounds = f"bounds: {MOST_SLOWER_ALONE} alone, {MOST_SLOWER_BESIDE} beside"
    console.print(f"\n{bounds}; over them: {', '.join(slow) or 'none'}")
    sys.exit(bool(slow))


if __name__ == "__main__":
    main()
