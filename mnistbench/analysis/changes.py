"""What really changed between two runs: environment, accuracy, times.

Trials are paired by what they ran (data set, split, training size, model, parameters, threads) and by seed.
Nothing is called better, worse, faster or slower unless it is significant with all tests corrected together,
and no accuracy practically the same unless its interval lies within a margin; times need a factor too
(`stats.times`). Times of two machines are compared in calibration units, by a larger factor, or not at all.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mnistbench.analysis.compared_run import ComparedRun
from mnistbench.analysis.configurations import Configuration, setting
from mnistbench.analysis.correctness import ids_of
from mnistbench.analysis.environments import Difference, differences
from mnistbench.analysis.trust import Grade, Timing, grade
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo, Status
from mnistbench.runs.sessions import unit_seconds
from mnistbench.stats.pairs import PairedTest, Verdict, paired_test
from mnistbench.stats.times import FASTER_FACTOR, UNITS_FACTOR, TimeComparison, compare_times
from mnistbench.stats.verdicts import SIGNIFICANCE, judged

_TIMINGS: tuple[Timing, ...] = ("fit_seconds", "predict_seconds")

Unit = Literal["seconds", "calibration units"]

LEAST_FACTORS: dict[Unit, float] = {"seconds": FASTER_FACTOR, "calibration units": UNITS_FACTOR}
"""Least ratio of times for a verdict, by what they are in."""


@dataclass(frozen=True)
class TimeChange:
    """How one time of a configuration changed from run a to run b."""

    timing: Timing
    unit: Unit  # what `a` and `b`, the timings in the order taken, are in
    a: tuple[float, ...]
    b: tuple[float, ...]
    comparison: TimeComparison  # of b with a; its ratio is above 1 where b is slower
    grades: tuple[Grade | None, Grade | None]


@dataclass(frozen=True)
class Change:
    """How one configuration changed from run a to run b."""

    label: str  # the configuration, as a's report names it
    status: tuple[str, str]  # how its trials ended, in a and in b
    broken: bool  # successful in a, and failed in b, or planned there and never run
    error_counts: tuple[float, float] | None  # mean wrong images in a and b, over seeds of both
    accuracy: PairedTest | None  # b less a on the same images; None if the predictions allow none
    identical: bool | None  # whether all predicted labels are the same; None where they are not at hand
    times: tuple[TimeChange, ...]  # of training and prediction; empty where they cannot be compared
    time_problem: str | None  # why they cannot; None where they can

    @property
    def accuracy_verdict(self) -> Verdict | Literal["identical", "unknown"]:
        """What became of the accuracy, with all configurations judged together."""
        if self.accuracy is None:
            return "unknown"
        if self.identical:
            return "identical"
        return self.accuracy.verdict

    @property
    def is_regression(self) -> bool:
        """Whether it broke, is significantly less accurate or cannot be compared, or is really slower."""
        slower = any(change.comparison.verdict == "slower" for change in self.times)
        return self.broken or self.accuracy_verdict == "worse" or self.is_unjudged or slower

    @property
    def is_unjudged(self) -> bool:
        """Whether both runs were successful, and the predictions that would compare them are not at hand."""
        return self.error_counts is not None and self.accuracy is None


@dataclass(frozen=True)
class Comparison:
    """Two runs, side by side."""

    a: RunInfo
    b: RunInfo
    differences: tuple[Difference, ...]  # between their machines, libraries, settings and model files
    changes: tuple[Change, ...]  # one a configuration that both have, in the order of a's report
    only_a: tuple[str, ...]  # configurations that the other run lacks
    only_b: tuple[str, ...]
    margin: float  # difference in accuracy up to which a configuration is practically the same

    @property
    def regressions(self) -> tuple[Change, ...]:
        """The configurations that became worse."""
        return tuple(change for change in self.changes if change.is_regression)


def compare(folder_a: RunFolder, folder_b: RunFolder, margin: float | None = None) -> Comparison:
    """Compare run b with the earlier run a; the margin is run a's if None.

    Raises:
        UsageError: One is evaluated on test images and the other on validation images, their data sets
            differ, or they have no configuration in common.
        MnistbenchError: A run is damaged.
    """
    a, b = ComparedRun(folder_a), ComparedRun(folder_b)
    _refuse_mixing(a, b)
    margin = a.info.margin if margin is None else margin
    pairs = _pairs(a.rows, b.rows)
    if not pairs:
        raise UsageError(
            f"{folder_a.name} and {folder_b.name} have no trial in common: they share the data set, but not "
            "the models, parameters or training sizes."
        )
    repeated = [min(len(row.records) for row in _common(x, y)) > 1 for x, y in pairs]
    timed = sum(repeated) * len(_TIMINGS)
    changes = [_change(a, x, b, y, confidence=1 - SIGNIFICANCE / max(1, timed)) for x, y in pairs]
    return Comparison(
        a=a.info,
        b=b.info,
        differences=tuple(differences(a, b, pairs)),
        changes=_judged(changes, margin),
        margin=margin,
        only_a=tuple(row.label for row in a.rows if row not in [x for x, _ in pairs]),
        only_b=tuple(row.label for row in b.rows if row not in [y for _, y in pairs]),
    )


def _refuse_mixing(a: ComparedRun, b: ComparedRun) -> None:
    if a.info.split != b.info.split:
        raise UsageError(
            f"{a.info.name} is evaluated on {a.info.split} images and {b.info.name} on {b.info.split} "
            "images: these are never compared."
        )
    if a.info.is_validation and a.info.holdout != b.info.holdout:
        raise UsageError(
            f"{a.info.name} is evaluated on {a.info.held_out}, and {b.info.name} on {b.info.held_out}: "
            "nothing can be paired."
        )
    if a.info.dataset.sha256 != b.info.dataset.sha256:
        raise UsageError(
            f"{a.info.name} is on {a.info.dataset.title} and {b.info.name} on {b.info.dataset.title}, which "
            "hold different images, so nothing can be paired."
        )


def _pairs(
    a: Sequence[Configuration], b: Sequence[Configuration]
) -> list[tuple[Configuration, Configuration]]:
    """Pair what ran the same; what differs in nothing but the threads pairs too, where that is one to one."""
    found: list[tuple[Configuration, Configuration]] = []
    for threads in (True, False):
        left, right = (
            _by_key([row for row in rows if row not in [pair[side] for pair in found]], threads=threads)
            for side, rows in enumerate((a, b))
        )
        found += [
            (rows[0], right[key][0])
            for key, rows in left.items()
            if len(rows) == 1 and len(right.get(key, ())) == 1
        ]
    return sorted(found, key=lambda pair: a.index(pair[0]))


def _by_key(rows: Iterable[Configuration], *, threads: bool) -> dict[str, list[Configuration]]:
    grouped: dict[str, list[Configuration]] = {}
    for row in rows:
        key = setting(row.trials[0]) if threads else setting(row.trials[0], threads=1)
        grouped.setdefault(key, []).append(row)
    return grouped


def _common(x: Configuration, y: Configuration) -> tuple[Configuration, Configuration]:
    """Keep the successful records of both, of the seeds that both have; of all seeds if they share none."""
    good = [[r for r in row.records if r.status is Status.OK and r.measurement] for row in (x, y)]
    shared = {r.trial.seed for r in good[0]} & {r.trial.seed for r in good[1]}
    kept = [tuple(r for r in records if not shared or r.trial.seed in shared) for records in good]
    return dataclasses.replace(x, records=kept[0]), dataclasses.replace(y, records=kept[1])


def _change(
    a: ComparedRun, x: Configuration, b: ComparedRun, y: Configuration, *, confidence: float
) -> Change:
    in_a, in_b = _common(x, y)
    both = bool(in_a.records and in_b.records)
    accuracy, identical = _accuracy(a, in_a, b, in_b) if both else (None, None)
    unit, problem = _unit(a, in_a, b, in_b) if both else (None, None)
    times = [_time_change(a, in_a, b, in_b, timing, unit, confidence) for timing in _TIMINGS if unit]
    before, after = x.trials[0].threads, y.trials[0].threads
    return Change(
        label=x.label if before == after else f"{x.label}, {before} to {after} threads",
        status=(x.status, y.status),
        broken=_is_broken(x, y),
        error_counts=(in_a.error_count or 0.0, in_b.error_count or 0.0) if both else None,
        accuracy=accuracy,
        identical=identical,
        times=tuple(change for change in times if change is not None),
        time_problem=problem,
    )


def _is_broken(x: Configuration, y: Configuration) -> bool:
    """Return whether a trial that was successful in x is planned in y, and not so there."""
    good, still_good = (
        {(r.trial.seed, r.trial.repeat) for r in row.records if r.status is Status.OK} for row in (x, y)
    )
    return bool(good & {(trial.seed, trial.repeat) for trial in y.trials} - still_good)


def _accuracy(
    a: ComparedRun, x: Configuration, b: ComparedRun, y: Configuration
) -> tuple[PairedTest | None, bool | None]:
    """Test b's accuracy against a's; see `stats.paired_test`."""
    truth = a.folder.true_labels()
    labels_a, labels_b = a.labels(x.by_seed), b.labels(y.by_seed)
    if truth is None or labels_a is None or labels_b is None:
        return None, None
    if labels_a.shape[1:] != truth.shape or labels_b.shape[1:] != truth.shape:
        raise MnistbenchError(
            f"the stored predictions of {a.info.name} and {b.info.name} are not of the same images; "
            f"`{a.folder.command('verify')}` and `{b.folder.command('verify')}` show which run is damaged."
        )
    ids = ids_of(a.folder.groups() or b.folder.groups())  # an older run of the same images may lack them
    test = paired_test(b.info.name, labels_b == truth, a.info.name, labels_a == truth, ids)
    return test, labels_a.shape == labels_b.shape and bool((labels_a == labels_b).all())


def _judged(changes: Sequence[Change], margin: float) -> tuple[Change, ...]:
    tests = iter(judged([change.accuracy for change in changes if change.accuracy is not None], margin))
    return tuple(
        change if change.accuracy is None else dataclasses.replace(change, accuracy=next(tests))
        for change in changes
    )


def _unit(
    a: ComparedRun, x: Configuration, b: ComparedRun, y: Configuration
) -> tuple[Unit | None, str | None]:
    """Choose what the times are compared in, or say why they cannot be."""
    machines = {record.environment.machine for record in (*x.records, *y.records)}
    if len(machines) == 1:
        return "seconds", None
    for run, row in ((a, x), (b, y)):
        if any(unit_seconds(run.sessions, record.trial.id) is None for record in row.records):
            return None, (
                f"the machines differ and {run.info.name} has no calibration: times of two machines are "
                "comparable only in calibration units (--measure calibration)"
            )
    return "calibration units", None


def _time_change(
    a: ComparedRun,
    x: Configuration,
    b: ComparedRun,
    y: Configuration,
    timing: Timing,
    unit: Unit,
    confidence: float,
) -> TimeChange | None:
    def times(run: ComparedRun, row: Configuration) -> tuple[float, ...]:
        return tuple(
            getattr(r.measurement, timing)
            / (1.0 if unit == "seconds" else unit_seconds(run.sessions, r.trial.id) or 1.0)
            for r in row.records
        )

    before, after = times(a, x), times(b, y)
    if min(*before, *after) <= 0:  # the clock did not resolve it
        return None
    return TimeChange(
        timing=timing,
        unit=unit,
        a=before,
        b=after,
        comparison=compare_times(before, after, factor=LEAST_FACTORS[unit], confidence=confidence),
        grades=(grade(x.records, a.sessions, timing), grade(y.records, b.sessions, timing)),
    )
