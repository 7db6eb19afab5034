"""How long the trials of a run will still take."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from mnistbench.execution.isolation import Activity
from mnistbench.runs.records import Forecast, Record, Status, Trial

Likeness: TypeAlias = tuple[tuple[object, ...], ...]
"""What trials of about the same duration have in common, the most similar first."""


class Estimates:
    """Estimates times from the model's own progress, else from similar trials of the run that have ended.

    A trial that is like none of these has the time of its forecast, if it has one.
    """

    def __init__(
        self,
        finished: Iterable[Record] = (),
        trials: Iterable[Trial] = (),
        forecasts: Mapping[str, Forecast] | None = None,
    ) -> None:
        """Learn from trials that have ended, and from the forecasts of others by their id."""
        self._foretold = {
            likeness(trial)[0]: forecasts[trial.id].trial_seconds.value
            for trial in trials
            if forecasts and trial.id in forecasts
        }
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
        """Return the expected time of a whole trial; None if no similar one has ended or has a forecast."""
        for trait in like:
            if seconds := self._seconds.get(trait):
                middle = len(seconds) // 2
                return (seconds[middle] + seconds[-1 - middle]) / 2
            if trait in self._foretold:
                return self._foretold[trait]
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


def likeness(trial: Trial) -> Likeness:
    """Return what the trial has in common with others of about the same duration."""
    images = trial.dataset_sha256, trial.split, trial.train_size, trial.threads
    parameters = tuple(sorted((name, repr(value)) for name, value in trial.parameters.items()))
    return (trial.model, *images, parameters), (trial.model, *images)
