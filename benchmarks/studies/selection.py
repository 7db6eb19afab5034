"""How the models' settings were chosen: the candidates, scored on training images that were held out.

`python benchmarks/studies/selection.py svm --dataset mnist,fashion-mnist` fits every candidate of that model
to each data set's training images without the hold-out of `mnistbench run --validation` (whole writers, where
they are known), scores it on that, and prints a row for each; without a name it does so for every model. With
`--blocks 3` each is scored on three blocks of 10,000 training images of MNIST in turn and trained on the
rest: a block is contiguous, as images of one writer stand near each other. The test images are never used.
Other options go to `mnistbench run`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.runs.folder import find_run

HOLDOUT = 10_000

# Each sweep has one or several values for some of a model's parameters: every combination is a candidate,
# and the other parameters keep the defaults of the model's file.
SWEEPS = {
    "logreg": [{"C": "0.05,0.15,0.3", "tol": "0.00015,0.0003,0.0006"}],
    "svm": [{"components": "60,80,100,150", "gamma": "1.0,1.5"}, {"C": "5"}],
    "rf": [{"levels": "4,8,16", "trees": "100"}, {"levels": "4", "trees": "200"}],
    "xgboost": [{"rounds": "200,240"}, {"min_child_weight": "1,4"}, {"colsample_bynode": "0.1,0.3"}],
    "mlp": [{"epochs": "4,5,6"}, {"hard_epochs": "8,10"}, {"label_smoothing": "0.05,0.1"}],
    "cnn": [{"epochs": "2,3,4"}, {"hard_epochs": "3,4,5"}],
    "logreg_record": [
        {"C": "0.001,0.003,0.01,0.03,0.1,1,10"},
        {"features": "2000,6000"},
        {"gamma": "0.4,0.6", "components": "64"},
        {"components": "64,96"},
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
    "cnn_record": [{"label_smoothing": "0.0,0.1"}, {"epochs": "8"}],
    "gaussian_nb": [{"var_smoothing": "1e-9,0.01,0.03,0.1,0.3"}],
    "ridge": [{"alpha": "10.0,100.0,1000.0,3000.0"}],
    "lda": [{"shrinkage": "0.01,0.1,0.3"}],
    "linear_svm": [{"C": "0.01,0.03,0.1"}],
    "decision_tree": [{"levels": "2,4,16", "criterion": "entropy"}, {"levels": "16", "criterion": "gini"}],
    "extra_trees": [{"trees": "100", "max_features": "sqrt,40"}, {"trees": "200"}],
    "lightgbm": [{"max_bin": "15,63"}, {"colsample_bytree": "0.1"}, {"learning_rate": "0.1"}],
    "hist_gradient_boosting": [{"learning_rate": "0.1,0.2"}, {"leaves": "15"}, {"components": "30"}],
    "knn": [{"components": "30,40,50,60", "k": "3,5"}],
    "pca_qda": [{"components": "40,50,60", "shrinkage": "0.03,0.1,0.2"}],
    "random_fourier_ridge": [{"gamma": "0.3,0.4,0.5"}, {"components": "50,60"}, {"features": "4000"}],
    "nystroem_svm": [{"C": "1.0,10.0,100.0"}, {"gamma": "1.0"}, {"features": "1000"}],
}


def main():
    """Run the sweeps of the models named, and print their candidates, best first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"any of {', '.join(SWEEPS)}")
    parser.add_argument("--blocks", type=int, default=1, help="how many blocks to hold out, one at a time")
    parser.add_argument(
        "--dataset", default="mnist", help="data sets, separated by commas; not with --blocks"
    )
    arguments, options = parser.parse_known_args()
    if unknown := set(arguments.models) - set(SWEEPS):
        parser.error(f"no sweep for {', '.join(sorted(unknown))}; there are {', '.join(SWEEPS)}")
    if not 1 <= arguments.blocks <= 6:
        parser.error(f"--blocks is {arguments.blocks}; there are 6 blocks of {HOLDOUT:,} training images")
    with tempfile.TemporaryDirectory() as folder:
        blocks = held_out_in_turn(arguments.blocks, Path(folder))
        datasets = list(blocks) if arguments.blocks > 1 else arguments.dataset.split(",")
        for model in arguments.models or SWEEPS:
            candidates = defaultdict(list)
            for dataset in datasets:
                for sweep in SWEEPS[model]:
                    for record in scored(model, sweep, dataset, options):
                        candidates[tuple(record.trial.parameters.items())].append(record)
            for records in sorted(candidates.values(), key=mean_accuracy, reverse=True):
                print(row(records), flush=True)


def held_out_in_turn(blocks, folder):
    """Yield MNIST and rotated copies of it, each with another block last, which is held out."""
    yield "mnist"
    if blocks == 1:
        return
    data = open_arrays(resolve("mnist", cache=cache_folder(), offline=True).arrays_folder)
    apart = len(data.x_train) // HOLDOUT // blocks * HOLDOUT
    for number in range(1, blocks):
        turned = {
            name: np.roll(getattr(data, name), number * apart, axis=0) for name in ("x_train", "y_train")
        }
        path = folder / f"block{number}.npz"
        np.savez(path, **turned, x_test=data.x_test, y_test=data.y_test)
        yield str(path)


def scored(model, sweep, dataset, options):
    """Run one sweep and return the record of each candidate that succeeded."""
    settings = [f"--set={model}.{name}={values}" for name, values in sweep.items()]
    with tempfile.TemporaryDirectory() as results:
        command = ["run", f"--dataset={dataset}", "--validation", f"--only={model}", *settings, *options]
        subprocess.run(
            [sys.executable, "-m", "mnistbench", *command, f"--results={results}", "--name=sweep"],
            stdout=sys.stderr,
        )
        return [r for r in find_run(Path(results), "sweep").records() if r.quality is not None]


def mean_accuracy(records):
    """Return the mean accuracy of a candidate over the hold-outs."""
    return np.mean([record.quality.accuracy for record in records])


def row(records):
    """Return a candidate as a row of `results/reference/attempts.md`."""
    trial = records[0].trial
    parameters = ", ".join(f"{name} {value}" for name, value in trial.parameters.items())
    score = f"{100 * mean_accuracy(records):.2f} %"
    if len(records) > 1:
        score += f" ({', '.join(str(record.quality.error_count) for record in records)} wrong)"
    if all(record.quality.log_loss is not None for record in records):
        score += f", log loss {np.mean([record.quality.log_loss for record in records]):.4f}"
    seconds = ", ".join(f"{cpu_seconds(record.measurement):.1f}" for record in records)
    return f"| {trial.model} | {parameters} | {score} | {seconds} |"


def cpu_seconds(measurement):
    """Return the CPU time of fit and predict, which depends less on what else runs than wall time does."""
    return measurement.fit_cpu_seconds + measurement.predict_cpu_seconds


if __name__ == "__main__":
    main()
