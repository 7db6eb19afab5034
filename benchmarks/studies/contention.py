"""Measure what one busy program beside the suite costs each family.

`make bench-contention` runs the models alone, then beside an endless loop in a session of its own, as a
browser or a colleague's job would be. Linux shares the cores between sessions: the loop leaves a trial on two
cores little more than one, and the trial runs with one thread. `--all-threads` adds what libraries do with a
thread on each core all the same: the threads wait for each other after every step, which takes XGBoost
minutes instead of seconds. Nothing else may run on the machine meanwhile. Other options are those of
`mnistbench run`.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.machine import usable_cores
from mnistbench.runs.folder import find_run

MOST_SLOWER_BESIDE = 3.0

HIST_GRADIENT_BOOSTING = '''"""Histogram gradient boosting, five rounds (scikit-learn)."""

from sklearn.ensemble import HistGradientBoostingClassifier


def build(seed):
    return HistGradientBoostingClassifier(max_iter=5, early_stopping=False, random_state=seed)
'''


@contextlib.contextmanager
def busy_program():
    """Keep one core busy from another session."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()


def fit_seconds(folder, name, options):
    """Run the models; return the fit time of each by name."""
    command = [
        "run",
        "--results",
        folder,
        "--name",
        name,
        "--models",
        f"{folder}/models",
        "--measure",
        "none",
    ]
    answer = subprocess.run([sys.executable, "-P", "-m", "mnistbench", *command, *options])
    if answer.returncode:  # the time of a failed trial is not that of the model
        sys.exit(answer.returncode)
    records = find_run(Path(folder), name).records()
    return {record.trial.model: record.measurement.fit_seconds for record in records}


def main():
    """Print the times; exit with status 1 where a model takes over three times as long beside the loop."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--train-size", default="10000", help="training images (10000)")
    parser.add_argument("--all-threads", action="store_true", help="also with a thread on each core")
    arguments, options = parser.parse_known_args()
    options = ["--train-size", arguments.train_size, *options]
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        (models / "hist_gradient_boosting_on_pixels.py").write_text(HIST_GRADIENT_BOOSTING, encoding="utf-8")
        alone = fit_seconds(folder, "alone", options)
        with busy_program():
            columns = {"beside": fit_seconds(folder, "beside", options)}
            if arguments.all_threads:
                threads = ["--threads", str(len(usable_cores()))]
                columns["all threads"] = fit_seconds(folder, "all-threads", [*options, *threads])
    table = Table("fit, s", "alone", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right")
        table.add_column("ratio", justify="right")
    for model, seconds in alone.items():
        times = [side[model] for side in columns.values()]
        cells = [f"{number:.2f}" for time in times for number in (time, time / seconds)]
        table.add_row(model, f"{seconds:.2f}", *cells)
    slow = [model for model in alone if columns["beside"][model] > MOST_SLOWER_BESIDE * alone[model]]
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\nOver {MOST_SLOWER_BESIDE:g} times as long beside the loop: {', '.join(slow) or 'none'}")
    sys.exit(bool(slow))


if __name__ == "__main__":
    main()
