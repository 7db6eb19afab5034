"""How the networks of cnn_record were chosen: each network and every committee, on held-out images.

`python benchmarks/studies/committees.py --blocks 2` trains the recipe's networks on MNIST's training images
without a block of 10,000, scores them on that block, repeats this with another block, and prints a row for
each committee. The blocks are those of `selection.py`; the test images are never used. To compare other
networks, change the recipe and run it again.
"""

import argparse
import itertools
import runpy
import tempfile
from pathlib import Path

import numpy as np
from selection import held_out_in_turn

from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.datasets.splits import split
from mnistbench.plan.models import builtin_folder
from mnistbench.stats.scores import quality

NETWORKS = ("raw", "upright", "one size")  # in the recipe's order


def main():
    """Print how many images of each block every committee gets wrong, and its log loss."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--blocks", type=int, default=1, help="how many blocks to hold out, one at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        datasets = held_out_in_turn(arguments.blocks, Path(folder))
        evaluated = [votes(dataset, arguments.seed, arguments.threads) for dataset in datasets]
    for size in range(1, len(NETWORKS) + 1):
        for members in itertools.combinations(range(len(NETWORKS)), size):
            names = ", ".join(NETWORKS[member] for member in members)
            scores = [score(probabilities[list(members)], truth) for probabilities, truth in evaluated]
            wrong = "; ".join(str(each.error_count) for each in scores)
            loss = "; ".join(f"{each.log_loss:.4f}" for each in scores)
            print(f"| {names} | {wrong} | {loss} |")


def votes(dataset, seed, threads):
    """Return the probabilities of each network, shape (networks, n, k), and the true labels."""
    arrays = open_arrays(resolve(dataset, cache=cache_folder(), offline=True).arrays_folder)
    chosen = split(arrays, "validation", None, seed)
    x_train, x_eval = (
        np.divide(images.reshape(len(images), -1), 255, dtype=np.float32)
        for images in (chosen.x_train, chosen.x_eval)
    )
    recipe = runpy.run_path(str(builtin_folder() / "cnn_record.py"))
    committee = recipe["build"](seed=seed, keras={"threads": threads}, image_shape=chosen.x_train.shape[1:])
    committee.fit(x_train, chosen.y_train)
    return np.stack([network.predict_proba(x_eval) for network in committee.columns_]), chosen.y_eval


def score(votes, truth):
    """Return the quality of the mean of the networks' probabilities."""
    mean, classes = votes.mean(axis=0), np.unique(truth)
    return quality(truth, classes[mean.argmax(axis=1)], mean, classes)


if __name__ == "__main__":
    main()
