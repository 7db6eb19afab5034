"""How the models' settings were chosen: the candidates, scored on training images that were held out.

`python benchmarks/studies/selection.py svm_record --holdouts 3` trains every candidate of that model without
the hold-out of `mnistbench run --validation` (whole writers, where they are known, with about a sixth of the
training images), scores it on that, does the same with two more hold-outs, none of which share a writer, and
prints a table; without a name it does so for every model. The test images are never used. What is scored is
kept in `--results`, so that the same command goes on where it was stopped.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from holdouts import MODELS, RESULTS, fit_missing, on_holdouts, scored, table

from mnistbench.errors import MnistbenchError
from mnistbench.machine import usable_cores
from mnistbench.plan.options import choose_threads, parse_assignments, parse_names, parse_sizes
from mnistbench.plan.trials import Options, Suite, plan

# Each sweep has one or several values for some of a model's parameters: every combination is a candidate,
# and the other parameters keep the defaults of the model's file. The recipe itself is a candidate, too.
SWEEPS = {
    "logreg": [{"blur": "0.5,0.7", "C": "0.3,0.5"}, {"tol": "0.00015,0.0006"}],
    "svm": [{"components": "60,80,100,150", "gamma": "1.0,1.5"}, {"C": "5"}],
    "rf": [{"trees": "40,60,80", "bootstrap": "false,true"}],
    "xgboost": [{"rounds": "160,200,240"}, {"hard_rounds": "280,320,400"}, {"max_bin": "16,32"}],
    "mlp": [{"epochs": "4,5,6"}, {"hard_epochs": "8,10"}, {"label_smoothing": "0.05,0.1"}],
    "cnn": [{"epochs": "3,4,5"}],
    "svm_record": [
        {"gamma": "0.7,1.3"},
        {"components": "64,128"},
        {"C": "1,10"},
        {"scaling": "0.5,0.85"},
        {"sharpness": "2,4"},
    ],
    "svm_copies": [{"copies": "1,2,3"}],
    "logreg_record": [
        {"C": "0.003,0.03"},
        {"components": "64", "gamma": "0.6"},
        {"gamma": "0.4", "C": "0.02"},
        {"components": "96", "C": "0.02"},
        {"features": "6000"},
    ],
    "ridge_record": [
        {"gamma": "0.5,0.7"},
        {"components": "80", "gamma": "0.5"},
        {"sharpness": "10,14"},
    ],
    "rf_record": [
        {"trees": "100"},
        {"copies": "2"},
        {"copies": "3", "trees": "100"},
    ],
    "xgboost_record": [{"rounds": "160"}, {"copies": "3,4"}],
    "mlp_record": [{"copies": "5", "epochs": "6"}, {"dropout": "0.1"}],
    "cnn_network": [
        {"scaling": "None,0.0,0.7"},
        {"scaling": "None,0.7", "small_kernels": "True"},
        {"scaling": "0.35"},
        {"dropout": "0.1"},
        {"label_smoothing": "0.05"},
        {"epochs": "24"},
    ],
    "cnn_record": [],
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

RECIPE = "the recipe"


def main():
    """Train what is not scored yet, one hold-out after the other, and print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"any of {', '.join(SWEEPS)}")
    parser.add_argument("--dataset", default="mnist", help="names of data sets, separated by commas")
    parser.add_argument("--holdouts", type=int, default=1, help="how many, one at a time: 1 to 6")
    parser.add_argument("--recipes", action="store_true", help="the recipes alone, without other candidates")
    parser.add_argument("--train-size", default="0", help="number of training images; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", help="threads of each fit; by default, all cores that are free")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the scores are kept")
    parser.add_argument("--scored", action="store_true", help="train nothing, print what is scored")
    arguments = parser.parse_args()
    if unknown := set(arguments.models) - set(SWEEPS):
        parser.error(f"no sweep for {', '.join(sorted(unknown))}; there are {', '.join(SWEEPS)}")
    try:
        complete = select(arguments)
    except MnistbenchError as error:
        parser.error(str(error))
    sys.exit(not complete)


def select(arguments):
    """Do what `main` does, given its arguments; return whether it was not interrupted."""
    models = arguments.models or list(SWEEPS)
    datasets = parse_names(arguments.dataset, "--dataset")
    holdouts = [data for name in datasets for data in on_holdouts(name, arguments.holdouts)]
    threads = choose_threads(arguments.threads, 1, len(usable_cores()))
    planned = [
        [trial for model in models for trial in candidates(model, data, threads, arguments)]
        for data in holdouts
    ]
    complete = arguments.scored or all(
        fit_missing(trials, data, arguments.results, fixed_threads=arguments.threads is not None)
        for trials, data in zip(planned, holdouts, strict=True)
    )
    found = scored(arguments.results)
    places = [(data.name, data.holdout) for data in holdouts]
    for model in models:
        scores = defaultdict(dict)
        for trial in (trial for trials in planned for trial in trials):
            if trial.model == model and trial.id in found:
                scores[label(trial)][trial.dataset, trial.holdout] = found[trial.id].score
        print(f"\n{model}\n\n{table(scores, places, RECIPE)}", flush=True)
    return complete


def candidates(model, data, threads, arguments):
    """Return the trials of a model's sweeps, the recipe first, each once."""
    suite = Suite("selection", "", (model,), parse_sizes(arguments.train_size), (arguments.seed,), 0.0)
    trials = []
    for sweep in [{}, *([] if arguments.recipes else SWEEPS[model])]:
        parameters = parse_assignments(f"{model}.{name}={values}" for name, values in sweep.items())
        options = Options(threads=threads, parameters=parameters, split="validation")
        trials += plan(suite, options, [MODELS[model]], data)
    return list({trial.id: trial for trial in trials}.values())


def label(trial):
    """Return what a candidate changes in its model's file."""
    defaults = MODELS[trial.model].parameters
    changed = [f"{name} {value}" for name, value in trial.parameters.items() if value != defaults[name]]
    return ", ".join(changed) or RECIPE


if __name__ == "__main__":
    main()
