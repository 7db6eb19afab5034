"""From single trials to the rows of a report: what differs in seed or repetition alone belongs together."""

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mnistbench.runs.json import ParameterValue
from mnistbench.runs.records import Measurement, Record, RunInfo, Status, Trial
from mnistbench.stats.accuracy import AccuracyEstimate, accuracy_estimate
from mnistbench.stats.groups import Clustering
from mnistbench.text import plural

# How a status reads in a sentence or a table.
STATUS_NAMES: Mapping[Status, str] = {
    status: "timed out" if status is Status.TIMEOUT else status.value.replace("_", " ") for status in Status
}
NOT_RUN = "not run"


@dataclass(frozen=True)
class Configuration:
    """Trials of one model that differ in seed and repetition alone: one row of the report."""

    model: str
    label: str  # the name of the row: the model, and what tells it from the run's other rows
    trials: tuple[Trial, ...]  # the trials as planned
    records: tuple[Record, ...]  # those that have ended, in the order in which they did
    clustering: Clustering | None = None  # how far its images are from independent; None without groups
    family: str = ""  # its label without the training size, which rows of other sizes share

    @cached_property
    def by_seed(self) -> tuple[Record, ...]:
        """The first successful record of each seed, by seed: what the model's quality is computed from."""
        first: dict[int, Record] = {}
        for record in sorted(self.records, key=lambda r: (r.trial.seed, r.trial.repeat)):
            if record.status is Status.OK and record.quality is not None:
                first.setdefault(record.trial.seed, record)
        return tuple(first.values())

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The accuracy of each seed."""
        return tuple(r.quality.accuracy for r in self.by_seed if r.quality is not None)

    @cached_property
    def accuracy(self) -> float | None:
        """The mean accuracy over the seeds; None where no trial was successful."""
        return statistics.fmean(self.accuracies) if self.by_seed else None

    @property
    def error_count(self) -> float | None:
        """The mean number of wrong images over the seeds."""
        counts = [r.quality.error_count for r in self.by_seed if r.quality is not None]
        return statistics.fmean(counts) if counts else None

    @cached_property
    def estimate(self) -> AccuracyEstimate | None:
        """The accuracy with both its sources of variation; None where no trial was successful."""
        counts = [r.quality.error_count for r in self.by_seed if r.quality is not None]
        return accuracy_estimate(counts, self.test_count, self.clustering) if counts else None

    @property
    def test_count(self) -> int:
        """The images it was evaluated on; 0 where no trial was successful."""
        return next((r.quality.test_count for r in self.by_seed if r.quality is not None), 0)

    @cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """What every successful trial measured, repetitions included."""
        return tuple(
            r.measurement for r in self.records if r.status is Status.OK and r.measurement is not None
        )

    def median_time(self, timing: str) -> float | None:
        """Return the median of a time of the measurements over seeds and repetitions; None without any."""
        return statistics.median(getattr(m, timing) for m in self.measurements) if self.measurements else None

    @property
    def fit_seconds(self) -> float | None:
        """The median time of training over seeds and repetitions."""
        return self.median_time("fit_seconds")

    @property
    def status_counts(self) -> Counter[str]:
        """How many trials ended in which way, or have not run."""
        names = Counter(STATUS_NAMES[r.status] for r in self.records)
        return names + Counter({NOT_RUN: len(self.trials) - len({r.trial.id for r in self.records})})

    @property
    def status(self) -> str:
        """How its trials ended: one word if all ended alike, else how many of them are ok."""
        names = self.status_counts
        ok = names[STATUS_NAMES[Status.OK]]
        return f"{ok} of {len(self.trials)} ok" if ok and len(names) > 1 else ", ".join(names)


def configurations(info: RunInfo, records: Iterable[Record]) -> list[Configuration]:
    """Group a run's trials into rows, best first.

    The order is by mean accuracy, then training time; after these come the rows without a successful
    trial, in the order of the plan, and last those whose turn had not come.
    """
    finished: dict[str, list[Record]] = {}
    planned: dict[str, list[Trial]] = {}
    seen = set()
    records = list(records)
    for trial in [*info.trials, *(r.trial for r in records)]:
        if trial.id not in seen:
            seen.add(trial.id)
            planned.setdefault(setting(trial), []).append(trial)
    for record in records:
        finished.setdefault(setting(record.trial), []).append(record)
    defaults = {model.name: model.parameters for model in info.models}
    firsts = {key: trials[0] for key, trials in planned.items()}
    labels = _labels(firsts, defaults)
    of_one_size = {
        key: dataclasses.replace(trial, train_size=None, synthetic=0) for key, trial in firsts.items()
    }
    of_family = _labels(of_one_size, defaults)
    rows = [
        Configuration(
            trials[0].model, labels[key], tuple(trials), tuple(finished.get(key, ())), family=of_family[key]
        )
        for key, trials in planned.items()
    ]
    return sorted(rows, key=_rank)


def _rank(row: Configuration) -> tuple[int, float, float]:
    if row.accuracy is not None:
        return (0, -row.accuracy, row.fit_seconds or 0.0)
    return (1 if row.records else 2, 0.0, 0.0)


def setting(trial: Trial, **also_alike: int) -> str:
    """Return what the trials of one configuration share: an id without their seed and repetition."""
    return dataclasses.replace(trial, seed=0, repeat=0, **also_alike).id  # type: ignore[arg-type]


def _labels(
    trials: Mapping[str, Trial], defaults: Mapping[str, Mapping[str, ParameterValue]]
) -> dict[str, str]:
    """Name each row after its model, and what differs from the model's file or between the model's rows."""
    by_model: dict[str, dict[str, Trial]] = {}
    for key, trial in trials.items():
        by_model.setdefault(trial.model, {})[key] = trial
    labels = {}
    for model, siblings in by_model.items():
        several = siblings.values()
        names = {name for trial in several for name in trial.parameters}
        varied = {name for name in names if len({trial.parameters.get(name) for trial in several}) > 1}
        has_sizes = len({trial.train_size for trial in several}) > 1
        has_threads = len({trial.threads for trial in several}) > 1
        own = defaults.get(model, {})
        for key, trial in siblings.items():
            details = [
                f"{name}={value_text(value)}"
                for name, value in trial.parameters.items()
                if name in varied or own.get(name, value) != value
            ]
            if trial.synthetic or has_sizes:
                details.append(trial.size_label)
            if has_threads:
                details.append(plural(trial.threads, "thread"))
            labels[key] = f"{model} ({', '.join(details)})" if details else model
    return labels


def value_text(value: ParameterValue) -> str:
    """Write a parameter's value as one would type it."""
    if isinstance(value, tuple):
        return "(" + ", ".join(value_text(v) for v in value) + ")"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def status_counts(rows: Sequence[Configuration]) -> str:
    """Say how a run's trials ended: "5 ok, 1 out of memory, 1 timed out"."""
    names = sum((row.status_counts for row in rows), Counter[str]())
    order = [*STATUS_NAMES.values(), NOT_RUN]
    return ", ".join(f"{names[name]:,} {name}" for name in order if names[name])
