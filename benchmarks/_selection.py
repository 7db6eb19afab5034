"""How the models' settings were chosen: the candidates, scored on the last 10,000 training images.

`python benchmarks/_selection.py svm_record --threads 2` fits every candidate of that model to the first
50,000 training images of MNIST and prints a row for each; without a name, every model's. The test images are
never looked at. Other options go to `mnistbench run`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from mnistbench.runs import find_run

# Each sweep is one value or several for some of a model's parameters: every combination is a candidate,
# and what is not named keeps the default of the model's file.
SWEEPS = {
    "logreg": [{"C": "0.1,0.3", "tol": "0.001,0.0005,0.0003,0.0002"}],
    "svm": [{"C": "10"}],
    "rf": [{"levels": "2,4,8", "trees": "100"}, {"levels": "4", "trees": "125,160,200"}],
    "xgboost": [
        {"rounds": "180,280"},
        {"rounds": "240", "max_depth": "7"},
        {"rounds": "240", "max_bin": "5"},
        {"rounds": "240", "subsample": "0.5"},
    ],
    "mlp": [{"epochs": "4,5,6"}],
    "cnn": [{"epochs": "2,3"}],
    "logreg_record": [
        {"features": "2000,4000", "C": "1,10"},
        {"gamma": "0.4,0.6", "components": "64"},
        {"components": "64,80,96"},
    ],
    "svm_record": [
        {"components": "64,96,128"},
        {"gamma": "0.7,1.3"},
        {"scaling": "0.0,0.5,0.85"},
        {"sharpness": "2,3,4"},
    ],
    "rf_record": [{"copies": "1", "trees": "60,100"}, {"copies": "2", "trees": "60"}],
    "xgboost_record": [{"copies": "2", "rounds": "160,240"}, {"copies": "3,4", "rounds": "240"}],
    "ridge_record": [
        {"features": "4000"},
        {"gamma": "0.3,0.4,0.5,0.6,0.7"},
        {"components": "80", "gamma": "0.5"},
        {"sharpness": "8,12,16"},
    ],
    "mlp_record": [{"copies": "5", "epochs": "6"}, {"copies": "9", "epochs": "4"}],
    "cnn_record": [{"scaling": "0.0,0.7"}, {"epochs": "8,12"}],
}


def main():
    """Run the sweeps of the models named, and print their candidates, best first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"any of {', '.join(SWEEPS)}")
    arguments, options = parser.parse_known_args()
    if unknown := set(arguments.models) - set(SWEEPS):
        parser.error(f"no sweep for {', '.join(sorted(unknown))}; there are {', '.join(SWEEPS)}")
    for model in arguments.models or SWEEPS:
        records = [record for sweep in SWEEPS[model] for record in scored(model, sweep, options)]
        for record in sorted(records, key=lambda r: r.quality.accuracy, reverse=True):
            print(row(record), flush=True)


def scored(model, sweep, options):
    """Run one sweep and return the record of each candidate that ended well."""
    settings = [f"--set={model}.{name}={values}" for name, values in sweep.items()]
    with tempfile.TemporaryDirectory() as results:
        command = ["run", "--dataset=mnist", "--validation", f"--only={model}", *settings, *options]
        subprocess.run(
            [sys.executable, "-m", "mnistbench", *command, f"--results={results}", "--name=sweep"],
            stdout=sys.stderr,
        )
        return [r for r in find_run(Path(results), "sweep").records() if r.quality is not None]


def row(record):
    """Write a candidate as a row of `results/reference/attempts.md`."""
    parameters = ", ".join(f"{name} {value}" for name, value in record.trial.parameters.items())
    quality, measured = record.quality, record.measurement
    score = f"{100 * quality.accuracy:.2f} %"
    if quality.log_loss is not None:
        score += f", log loss {quality.log_loss:.4f}"
    return f"| {record.trial.model} | {parameters} | {score} | {measured.fit_seconds:.1f} |"


if __name__ == "__main__":
    main()
