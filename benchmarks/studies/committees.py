"""How the networks of cnn_record were chosen: the committees of networks that are trained once, on hold-outs.

`python benchmarks/studies/selection.py cnn_network --holdouts 2` trains the networks, with `--seed 1` others
that differ by chance alone. Then `python benchmarks/studies/committees.py --holdouts 2` averages their stored
probabilities, and prints the best committees beside the recipe's. The test images are never used.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from holdouts import RESULTS, Score, on_holdouts, scored, table
from selection import RECIPE, label

from mnistbench.errors import MnistbenchError
from mnistbench.stats.scores import quality

MODEL = "cnn_network"
MEMBERS = ("raw", "scaling 0.0", "scaling 0.7")  # of the recipe


def main():
    """Print how many images of each hold-out the best committees get wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--holdouts", type=int, default=1, help="as given to selection.py")
    parser.add_argument("--results", type=Path, default=RESULTS, help="as given to selection.py")
    parser.add_argument("--largest", type=int, default=3, help="networks of the largest committees")
    parser.add_argument("--best", type=int, default=20, help="how many to print beside the recipe's")
    arguments = parser.parse_args()
    try:
        places = [(data.name, data.holdout) for data in on_holdouts("mnist", arguments.holdouts)]
        networks = trained(arguments.results, places)
    except MnistbenchError as error:
        parser.error(str(error))
    if not set(MEMBERS) <= networks.keys():
        parser.error(
            f"{arguments.results} lacks networks of the recipe on these hold-outs. Train them first: "
            f"python benchmarks/studies/selection.py {MODEL} --holdouts {arguments.holdouts}"
        )
    committees = {RECIPE: scores([networks[name] for name in MEMBERS])}
    for size in range(1, arguments.largest + 1):
        for names in itertools.combinations(networks, size):
            if names != MEMBERS:
                committees[" + ".join(names)] = scores([networks[name] for name in names])
    by_errors = sorted(committees, key=lambda name: sum(each.wrong for each in committees[name].values()))
    shown = {*by_errors[: arguments.best], *networks, RECIPE}
    print(table({name: committees[name] for name in committees if name in shown}, places, RECIPE))


def trained(results, places):
    """Return each network's fits by place, for those that were trained for all; the recipe's first."""
    found = {}
    for fit in scored(results).values():
        trial = fit.record.trial
        if trial.model == MODEL and trial.train_size is None and fit.place in places:
            name = label(trial).replace(RECIPE, "raw") + (f", seed {trial.seed}" if trial.seed else "")
            found.setdefault(name, {})[fit.place] = (fit, fit.probabilities)
    names = sorted(found, key=lambda name: (name not in MEMBERS, name))
    return {name: found[name] for name in names if len(found[name]) == len(places)}


def scores(members):
    """Return the score of the mean of the networks' probabilities on each place."""
    committee = {}
    for place, (first, _) in members[0].items():
        mean = np.mean([each[place][1] for each in members], axis=0)
        classes = np.unique(first.truth)
        labels = classes[mean.argmax(axis=1)]
        cpu_seconds = sum(each[place][0].record.measurement.fit_cpu_seconds for each in members)
        loss = quality(first.truth, labels, mean, classes).log_loss
        committee[place] = Score(labels == first.truth, first.groups, loss, cpu_seconds)
    return committee


if __name__ == "__main__":
    main()
