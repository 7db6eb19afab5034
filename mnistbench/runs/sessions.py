"""What the sessions of a run show: the overhead of the harness, and the speed of the machine."""

import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mnistbench.machine import drift
from mnistbench.runs.records import Record, Session


@dataclass(frozen=True)
class Overhead:
    """The time that the harness itself took."""

    available_seconds: float  # wall time of the sessions, times the trials that could run side by side
    own_seconds: float  # the part of it that was the trials' own work; see `own_seconds`

    @property
    def seconds(self) -> float:
        """The rest: starting processes, further measurements, calibration, writing; never below 0."""
        return max(0.0, self.available_seconds - self.own_seconds)

    @property
    def share(self) -> float:
        """The overhead as a share of the available time, 0 to 1."""
        return self.seconds / self.available_seconds if self.available_seconds > 0 else 0.0


def own_seconds(record: Record) -> float:
    """Return the wall time of a trial's own work, as a plain script with the same model would need it.

    It covers importing the model's libraries, loading the images, `build`, `fit`, and predicting one image
    and then all, as measured in the trial's process, and the second training that earlier versions
    made for a learning curve. Starting
    processes, latency and throughput, the cold start and scoring are overhead. All the time of a failed trial
    counts as its own, as nothing was measured inside it.
    """
    measured = record.measurement
    if measured is None:
        return record.trial_seconds
    curve = measured.learning_curve
    return (
        measured.import_seconds
        + measured.load_seconds
        + measured.build_seconds
        + measured.fit_seconds
        + measured.first_predict_seconds
        + measured.predict_seconds
        + (curve.seconds[-1] if curve is not None and curve.second_training else 0.0)
    )


def overhead(sessions: Iterable[Session], records: Iterable[Record]) -> Overhead | None:
    """Return the overhead of the complete sessions; None without any.

    An interrupted session is left out, because the work of its last trial is unknown.
    """
    whole = [session for session in sessions if session.complete and session.trial_ids]
    ended = {trial_id for session in whole for trial_id in session.trial_ids}
    if not whole:
        return None
    return Overhead(
        available_seconds=sum(session.wall_seconds * session.side_by_side for session in whole),
        own_seconds=sum(own_seconds(record) for record in records if record.trial.id in ended),
    )


def machine_drift(sessions: Iterable[Session], trial_ids: Collection[str]) -> float | None:
    """Return the drift of the machine's speed during the sessions of some trials, as a share.

    It is the largest `machine.drift` of any session and machine; None without calibrations.
    """
    drifts = [
        drift(before, after)
        for session in sessions
        if not session.ended.isdisjoint(trial_ids)
        for before, after in zip(session.before, session.after, strict=False)
    ]
    return max(drifts, default=None)


def unit_seconds(sessions: Sequence[Session], trial_id: str) -> float | None:
    """Return the calibration unit in the session of a trial, in seconds.

    It is the geometric mean of the units before and after. A time divided by it is in calibration units.
    None if it was not measured, or on several machines, because the trial's is unknown.
    """
    for session in sessions:
        if trial_id in session.ended:
            if len(session.before) != 1:
                return None
            return statistics.geometric_mean(c.unit_seconds for c in (*session.before, *session.after))
    return None


def median_unit(sessions: Sequence[Session], records: Iterable[Record]) -> float | None:
    """Return the median of `unit_seconds` over some trials, in seconds; None if none was measured."""
    units = [unit_seconds(sessions, record.trial.id) for record in records]
    known = [unit for unit in units if unit is not None]
    return statistics.median(known) if known else None
