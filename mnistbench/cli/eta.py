"""How long the trials of a run will still take."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from mnistbench.errors import MnistbenchError
from mnistbench.execution.isolation import Activity
from mnistbench.runs.folder import find_runs
from mnistbench.runs.records import Record, Status, Trial

_EARLIER_RUNS = 20  # the newest; older ones were likely made by other versions


class Estimates:
    """Estimates times from the model's own progress, else from similar trials that have ended.

    These belong to earlier runs on this machine, or to this run. A model that has never run here gets an
    estimate once its first trial has ended: a pilot on a few images would take as long as many a trial, most
    of which is starting a process and importing libraries.
    """

    def __init__(self, finished: Iterable[Record] = ()) -> None:
        """Learn from trials that have ended."""
        self._seconds: dict[tuple[object, ...], list[float]] = {}
        self._training_began: dict[str, float] = {}
        for record in finished:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Note how long a trial took, unless it was stopped or failed."""
        if record.status is Status.OK:
            for trait in _traits(record.trial):
                self._seconds.setdefault(trait, []).append(record.trial_seconds)

    def expected_seconds(self, trial: Trial) -> float | None:
        """Return the expected time of the whole trial; None if no similar trial has ended."""
        for trait in _traits(trial):
            if trait in self._seconds:
                return statistics.median(self._seconds[trait])
        return None

    def seconds_left(self, trial: Trial, activity: Activity) -> float | None:
        """Return the expected rest of a running trial; None if it is unknown."""
        expected = self.expected_seconds(trial)
        if activity.phase == "fit":
            began = self._training_began.setdefault(trial.id, activity.elapsed_seconds)
            if activity.done and activity.total:
                spent = activity.elapsed_seconds - began
                training = spent * (activity.total - activity.done) / activity.done
                # How long the steps after the training take is known from earlier trials alone.
                return training if expected is None else max(training, expected - activity.elapsed_seconds)
        return None if expected is None else max(0.0, expected - activity.elapsed_seconds)

    def run_seconds_left(
        self, waiting: Sequence[Trial], running: Sequence[tuple[Trial, Activity]], side_by_side: int
    ) -> float | None:
        """Return the expected rest of the whole run; None if that of a trial is unknown."""
        parts = [self.expected_seconds(trial) for trial in waiting]
        parts += [self.seconds_left(trial, activity) for trial, activity in running]
        if None in parts:
            return None
        return sum(part for part in parts if part is not None) / max(side_by_side, 1)


def earlier_records(results: Path, host: str) -> list[Record]:
    """Read the trials of the newest runs that ran on this machine; unreadable runs are skipped."""
    found: list[Record] = []
    for folder in find_runs(results)[-_EARLIER_RUNS:]:
        try:
            found += [record for record in folder.records() if record.environment.host == host]
        except MnistbenchError:
            continue
    return found


def _traits(trial: Trial) -> tuple[tuple[object, ...], ...]:
    """Return what trials of about the same duration have in common, the most similar first."""
    images = trial.dataset_sha256, trial.split, trial.train_size, trial.threads
    parameters = tuple(sorted((name, repr(value)) for name, value in trial.parameters.items()))
    return (trial.model, *images, parameters), (trial.model, *images)
