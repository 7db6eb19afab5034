"""Candidates on several hold-outs: train those that are not scored yet, read what is scored, compare it."""

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from mnistbench.cli.interruptions import Interruptions
from mnistbench.cli.live import PlainLines
from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.datasets.holdout import held_out_count, other_holdout
from mnistbench.execution import runner
from mnistbench.machine import usable_memory_bytes
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.runs.folder import RunFolder, find_runs
from mnistbench.runs.records import Record
from mnistbench.stats.pairs import paired_test
from mnistbench.stats.verdicts import holm

RESULTS = Path("results/selection")
MODELS = discover([builtin_folder(), Path(__file__).parent / "candidates"])

_TIMEOUT_SECONDS = 6 * 3600.0  # a busy machine may take hours for what takes minutes


@dataclass(frozen=True)
class Fit:
    """A candidate that was trained without a hold-out, and the run that keeps its predictions for that."""

    record: Record
    folder: RunFolder

    @property
    def place(self):
        """The data set and the hold-out."""
        return self.record.trial.dataset, self.record.trial.holdout

    @property
    def file(self):
        """What the run stores about the model's file."""
        return next(each for each in self.folder.info().models if each.name == self.record.trial.model)

    @property
    def is_of_todays_file(self):
        """Whether the model's file is still the same."""
        return self.file.name in MODELS and self.file.sha256 == MODELS[self.file.name].sha256

    @property
    def truth(self):
        """The true labels of the hold-out, int64, shape (n,)."""
        return self.folder.true_labels()

    @property
    def groups(self):
        """The group of each image, shape (n,), unique over all hold-outs; each its own if unknown."""
        groups = self.folder.groups()
        ids = np.arange(len(self.truth)) if groups is None else groups.ids
        prefix = "-".join(self.place) if groups is None else self.place[0]
        return np.char.add(f"{prefix}/", ids.astype(str))

    @property
    def probabilities(self):
        """The predicted probabilities, float64, shape (n, k)."""
        return self.folder.predictions(self.record.trial.id).probabilities.astype(np.float64)

    @property
    def score(self):
        """Return how good it is."""
        labels = self.folder.predictions(self.record.trial.id, labels_only=True).labels
        cpu_seconds = self.record.measurement.fit_cpu_seconds
        return Score(labels == self.truth, self.groups, self.record.quality.log_loss, cpu_seconds)


@dataclass(frozen=True)
class Score:
    """How good a candidate is on a hold-out.

    Attributes:
        correct: Whether each image is classified correctly, bool, shape (n,).
        groups: The group of each image, shape (n,).
        log_loss: In nats; None without probabilities.
        fit_cpu_seconds: Of training, which depend less on what else runs than seconds on the clock do.
    """

    correct: np.ndarray
    groups: np.ndarray
    log_loss: float | None
    fit_cpu_seconds: float

    @property
    def wrong(self):
        """Number of images that are classified wrongly."""
        return int((~self.correct).sum())


def on_holdouts(dataset, count):
    """Return a data set `count` times, with other whole groups held out each time.

    Raises:
        MnistbenchError: It is unavailable, or has fewer hold-outs.
    """
    data = resolve(dataset, cache=cache_folder(), offline=True)
    arrays = open_arrays(data.arrays_folder)
    kinds = [other_holdout(data.holdout, number) for number in range(count)]
    return [replace(data, holdout=kind, holdout_count=held_out_count(arrays, kind)) for kind in kinds]


def fits(runs):
    """Yield the finished trials of runs."""
    for folder in runs:
        for record in folder.records():
            if record.quality is not None:
                yield Fit(record, folder)


def scored(results):
    """Return the fits in a folder of runs by their trials' ids, less those of model files since changed."""
    return {fit.record.trial.id: fit for fit in fits(find_runs(results)) if fit.is_of_todays_file}


def fit_missing(trials, data, results, *, fixed_threads):
    """Run the trials that no run in `results` has finished, in a new run; return whether all have ended.

    Raises:
        MnistbenchError: The run cannot be written.
    """
    finished = scored(results)
    missing = [trial for trial in trials if trial.id not in finished]
    if not missing:
        return True
    models = {trial.model: MODELS[trial.model] for trial in missing}
    limits = runner.Limits(_TIMEOUT_SECONDS, int(0.9 * usable_memory_bytes()), fixed_threads=fixed_threads)
    plan = runner.Plan("selection", data, data.name, missing, list(models.values()), limits, measurements=())
    folder = runner.create_run(results, plan, sys.argv)
    complete = False
    with (
        Interruptions() as interruptions,
        contextlib.suppress(KeyboardInterrupt),  # before the first trial, or after the last
        PlainLines(Console(stderr=True), missing, []) as view,
        interruptions.allowed(view.stopping),
    ):
        complete = runner.run(folder, models, data, view)
    return complete


def table(candidates, places, reference):
    """Return a Markdown table of candidates, best first; each is compared with one of them, group by group.

    The p-values are those of the paired test by group over all hold-outs on which both are scored, after
    Holm's correction for the table's comparisons in brackets.

    Args:
        candidates: For each label the score on each place that it is scored on.
        places: The data sets and hold-outs, in the order of the columns.
        reference: The label with which the others are compared.
    """
    compared = {
        label: _compared(scores, candidates.get(reference, {}))
        for label, scores in candidates.items()
        if label != reference and scores.keys() & candidates.get(reference, {}).keys()
    }
    adjusted = dict(zip(compared, holm([test.p_value for test in compared.values()]), strict=True))
    lines = [
        f"| candidate | wrong in each hold-out | sum | above {reference} (95 %) | p | log loss | CPU, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]

    def rank(label):
        scores = candidates[label]
        return len(places) - len(scores), sum(score.wrong for score in scores.values())

    for label in sorted(candidates, key=rank):
        scores = [candidates[label].get(place) for place in places]
        known = [score for score in scores if score is not None]
        if not known:
            continue
        wrong = ", ".join("-" if score is None else str(score.wrong) for score in scores)
        losses = [score.log_loss for score in known if score.log_loss is not None]
        loss = f"{np.mean(losses):.4f}" if losses else ""
        difference, p_value = "", ""
        if (test := compared.get(label)) is not None:
            images = test.variation.images
            more, low, high = (
                -images * each for each in (test.difference, test.interval.high, test.interval.low)
            )
            difference = f"{more:+z.0f} ({low:+z.0f} to {high:+z.0f})"
            p_value = f"{test.p_value:.2g} ({adjusted[label]:.2g})"
        name = f"**{label}**" if label == reference else label
        seconds = np.mean([score.fit_cpu_seconds for score in known])
        total = sum(score.wrong for score in known)
        lines.append(f"| {name} | {wrong} | {total} | {difference} | {p_value} | {loss} | {seconds:.0f} |")
    return "\n".join(lines)


def _compared(scores, others):
    """Return the paired test of two candidates on the hold-outs on which both are scored."""
    shared = [place for place in scores if place in others]
    ours, theirs = (np.concatenate([each[place].correct for place in shared]) for each in (scores, others))
    return paired_test("a", ours, "b", theirs, np.concatenate([scores[place].groups for place in shared]))
