"""How the ensemble's rule was chosen: ways to pool probabilities, cross-validated on the training hold-out.

`python benchmarks/studies/pooling.py results/reference/record-validation` takes the stored predictions of a
validation run, chooses each rule's weights on four fifths of its images and scores them on the last fifth,
each fifth once. The test images are never used.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from mnistbench.analysis.ensemble import pool_weights, pooled
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import decode_predictions

FOLDS = 5


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


RULES = {
    "one vote each": lambda _votes, _truth: lambda votes: votes.mean(axis=0),
    "weighted arithmetic mean": arithmetic_mean,
    "weighted geometric mean": geometric_mean,
}


def main():
    """Print for each rule how many images it gets wrong, and its log loss."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a validation run with one seed")
    folder = RunFolder(parser.parse_args().run)
    labels = decode_predictions((folder.path / "labels.npz").read_bytes()).labels
    truth = np.searchsorted(folder.info().dataset.classes, labels)
    stored = [folder.predictions(record.trial.id).probabilities for record in folder.records()]
    votes = np.stack([each for each in stored if each is not None]).astype(float)
    fifths = np.arange(len(truth)) * FOLDS // len(truth)
    for name, choose in RULES.items():
        predicted = np.empty(votes.shape[1:])
        for fifth in range(FOLDS):
            chosen = choose(votes[:, fifths != fifth], truth[fifths != fifth])
            predicted[fifths == fifth] = chosen(votes[:, fifths == fifth])
        wrong = int((predicted.argmax(axis=1) != truth).sum())
        print(f"{name}: {wrong} of {len(truth)} wrong, log loss {loss(predicted, truth):.5f}")


if __name__ == "__main__":
    main()
