"""How long the trials of a run will still take."""

import bisect
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from mnistbench.errors import MnistbenchError
from mnistbench.execution.isolation import Activity
from mnistbench.runs.folder import find_runs
from mnistbench.runs.records import Record, Status, Trial

_EARLIER_RUNS = 20  # the newest; older ones were likely made by other versions

Likeness: TypeAlias = tuple[tuple[object, ...], ...]
"""What trials of about the same duration have in common, the most similar first."""


class Estimates:
    """Estimates times from the model's own progress, else from similar trials that have ended.

    These belong to earlier runs on this machine, or to this run. A model that has never run here gets an
    estimate once its first trial has ended: a pilot on a few images would take as long as many a trial, most
    of which is starting a process and importing libraries.
    """

    def __init__(self, finished: Iterable[Record] = ()) -> None:
        """Learn from trials that have ended."""
        self._seconds: dict[tuple[object, ...], list[float]] = {}  # in order
        self._training_began: dict[str, float] = {}
        for record in finished:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Note how long a trial took, unless it was stopped or failed."""
        if record.status is Status.OK:
            for trait in likeness(record.trial):
                bisect.insort(self._seconds.setdefault(trait, []), record.trial_seconds)

    def expected_seconds(self, like: Likeness) -> float | None:
        """Return the expected time of a whole trial, the median; None if no similar trial has ended."""
        for trait in like:
            if seconds := self._seconds.get(trait):
                middle = len(seconds) // 2
                return (seconds[middle] + seconds[-1 - middle]) / 2
        return None

    def seconds_left(self, trial: Trial, activity: Activity) -> float | None:
        """Return the expected rest of a running trial; None if it is unknown."""
        expected = self.expected_seconds(likeness(trial))
        if activity.phase == "fit":
            began = self._training_began.setdefault(trial.id, activity.elapsed_seconds)
            if activity.done and activity.total:
                spent = activity.elapsed_seconds - began
                training = spent * (activity.total - activity.done) / activity.done
                # How long the steps after the training take is known from earlier trials alone.
                return training if expected is None else max(training, expected - activity.elapsed_seconds)
        return None if expected is None else max(0.0, expected - activity.elapsed_seconds)

    def run_seconds_left(
        self, waiting: Mapping[Likeness, int], running: Sequence[tuple[Trial, Activity]], side_by_side: int
    ) -> float | None:
        """Return the expected rest of the whole run; None if that of a trial is unknown.

        `waiting` is the number of trials of each likeness that have yet to start.
        """
        parts = [(self.expected_seconds(like), count) for like, count in waiting.items() if count]
        parts += [(self.seconds_left(trial, activity), 1) for trial, activity in running]
        total = 0.0
        for seconds, count in parts:
            if seconds is None:
                return None
            total += count * seconds
        return total / max(side_by_side, 1)


def earlier_records(results: Path, host: str) -> Iterator[Record]:
    """Read the trials of the newest runs that ran on this machine; unreadable runs are skipped."""
    for folder in find_runs(results)[-_EARLIER_RUNS:]:
        with contextlib.suppress(MnistbenchError):
            yield from (record for record in folder.records() if record.environment.host == host)


def likeness(trial: Trial) -> Likeness:
    """Return what the trial has in common with others of about the same duration."""
    images = trial.dataset_sha256, trial.split, trial.train_size, trial.threads
    parameters = tuple(sorted((name, repr(value)) for name, value in trial.parameters.items()))
    return (trial.model, *images, parameters), (trial.model, *images)
