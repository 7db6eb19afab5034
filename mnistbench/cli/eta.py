"""How long the trials of a run still take, as far as that can be told."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from mnistbench.errors import MnistbenchError
from mnistbench.execution.isolation import Activity
from mnistbench.runs.folder import find_runs
from mnistbench.runs.records import Record, Status, Trial

_EARLIER_RUNS = 20  # the newest; older ones were likely made by other versions
_TRAINING, _LAST = ("fit", "learn"), "learn"


class Pace:
    """Estimates times from the model's own progress, else from trials like this one that have ended.

    Those are of earlier runs on this machine, and of this run. The first trial of a model that was never run
    here serves as the pilot of those that follow: a pilot on a few images would take as long as many a
    trial, most of which is starting a process and importing libraries.
    """

    def __init__(self, finished: Iterable[Record] = ()) -> None:
        """Learn from trials that have ended."""
        self._seconds: dict[tuple[object, ...], list[float]] = {}
        self._training_began: dict[tuple[str, str], float] = {}
        for record in finished:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Note how long a trial took; one that was stopped says nothing."""
        if record.status is Status.OK:
            for alike in _alike(record.trial):
                self._seconds.setdefault(alike, []).append(record.trial_seconds)

    def expected_seconds(self, trial: Trial) -> float | None:
        """Return what the whole trial is expected to take; None where nothing like it has ended."""
        for alike in _alike(trial):
            if alike in self._seconds:
                return statistics.median(self._seconds[alike])
        return None

    def seconds_left(self, trial: Trial, activity: Activity) -> float | None:
        """Return what a running trial is expected to take from now on; None where it cannot be told."""
        expected = self.expected_seconds(trial)
        if activity.phase in _TRAINING:
            key = trial.id, activity.phase
            began = self._training_began.setdefault(key, activity.elapsed_seconds)
            if activity.done and activity.total:
                spent = activity.elapsed_seconds - began
                training = spent * (activity.total - activity.done) / activity.done
                if activity.phase == _LAST:
                    return training
                # What follows the training is known from earlier trials alone.
                return training if expected is None else max(training, expected - activity.elapsed_seconds)
        return None if expected is None else max(0.0, expected - activity.elapsed_seconds)

    def run_seconds_left(
        self, waiting: Sequence[Trial], running: Sequence[tuple[Trial, Activity]], side_by_side: int
    ) -> float | None:
        """Return what the whole run is expected to take from now on; None where a trial cannot be told."""
        parts = [self.expected_seconds(trial) for trial in waiting]
        parts += [self.seconds_left(trial, activity) for trial, activity in running]
        if None in parts:
            return None
        return sum(part for part in parts if part is not None) / max(side_by_side, 1)


def earlier_records(results: Path, host: str) -> list[Record]:
    """Read the trials of the newest runs that ran on this machine; what cannot be read is passed over."""
    found: list[Record] = []
    for folder in find_runs(results)[-_EARLIER_RUNS:]:
        try:
            found += [record for record in folder.records() if record.environment.host == host]
        except MnistbenchError:
            continue
    return found


def _alike(trial: Trial) -> tuple[tuple[object, ...], ...]:
    """Return what trials share that take about as long, the closest kin first."""
    images = trial.dataset_sha256, trial.split, trial.train_size, trial.threads
    parameters = tuple(sorted((name, repr(value)) for name, value in trial.parameters.items()))
    return (trial.model, *images, parameters), (trial.model, *images)
