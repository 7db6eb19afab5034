"""How the ensemble's rule was chosen: ways to pool probabilities, cross-validated on training hold-outs.

`python benchmarks/studies/pooling.py results/selection/*` takes the stored predictions of the recipes of the
record suite that are scored on every hold-out of these runs (`selection.py --recipes` trains them), chooses
each rule's weights on all hold-outs but one, and scores them on that one, each once. With a single hold-out,
as in `results/reference/record-validation`, its fifths take their place. The test images are never used.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from holdouts import Score, fits, table
from scipy.optimize import minimize
from scipy.special import softmax

from mnistbench.analysis.ensemble import pool_weights, pooled
from mnistbench.errors import MnistbenchError
from mnistbench.plan.models import builtin_folder
from mnistbench.plan.trials import read_suites
from mnistbench.runs.folder import RunFolder

FIFTHS = 5


def loss(probabilities, truth):
    """Return the log loss, in nats."""
    return -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-16)).mean()


def arithmetic_mean(votes, truth):
    """Return the weighted mean of probabilities as a function of the votes, its weights fitted."""

    def mean(raw, probabilities):
        return np.tensordot(softmax(raw), probabilities, 1)

    found = minimize(lambda raw: loss(mean(raw, votes), truth), np.zeros(len(votes)), method="L-BFGS-B")
    return lambda votes: mean(found.x, votes)


def geometric_mean(votes, truth):
    """Return the suite's rule as a function of the votes, its weights fitted."""
    weights = pool_weights(votes, truth, range(votes.shape[2]))
    return lambda votes: pooled(weights, votes)


SUITES_RULE = "weighted geometric mean"
RULES = {
    "one vote each": lambda _votes, _truth: lambda votes: votes.mean(axis=0),
    "weighted arithmetic mean": arithmetic_mean,
    SUITES_RULE: geometric_mean,
}


def main():
    """Print for each rule how many images it gets wrong, and its log loss."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a validation run")
    try:
        members, parts = read(parser.parse_args().runs)
    except MnistbenchError as error:
        parser.error(str(error))
    if len(members) < 2:
        parser.error(
            f"these runs score {len(members)} of the recipes on all their hold-outs; two are needed."
        )
    print(f"{', '.join(members)}\n")
    scores = defaultdict(dict)
    for part, (votes, truth, groups) in parts.items():
        others = [each for name, each in parts.items() if name != part]
        chosen_on = np.concatenate([each[0] for each in others], axis=1)
        chosen_truth = np.concatenate([each[1] for each in others])
        for name, choose in RULES.items():
            predicted = choose(chosen_on, chosen_truth)(votes)
            correct = predicted.argmax(axis=1) == truth
            scores[name][part] = Score(correct, groups, loss(predicted, truth), 0.0)
    print(table(scores, list(parts), SUITES_RULE))


def read(runs):
    """Return the models, and each hold-out's votes, shape (models, n, k), true classes and groups, (n,)."""
    found = defaultdict(dict)
    recipes = read_suites(builtin_folder() / "suites.toml")["record"].models
    for fit in fits(RunFolder(run) for run in runs):
        trial = fit.record.trial
        is_recipe = trial.model in recipes and trial.parameters == fit.file.parameters
        if is_recipe and trial.split == "validation" and trial.train_size is None:
            found[fit.place][trial.model] = fit
    members = [model for model in recipes if found and all(model in each for each in found.values())]
    parts = {place: _part([each[model] for model in members]) for place, each in found.items() if members}
    return members, _fifths(*parts.values()) if len(parts) == 1 else parts


def _part(fits):
    truth = np.searchsorted(fits[0].folder.info().dataset.classes, fits[0].truth)
    return np.stack([fit.probabilities for fit in fits]), truth, fits[0].groups


def _fifths(part):
    """Return the fifths of a hold-out, in whole groups and in the order of its images."""
    votes, truth, groups = part
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    fifths = first.argsort().argsort()[members] * FIFTHS // len(first)
    return {
        number: (votes[:, fifths == number], truth[fifths == number], groups[fifths == number])
        for number in range(FIFTHS)
    }


if __name__ == "__main__":
    main()
