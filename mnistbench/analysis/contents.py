"""The contents of a report, before any of it is drawn or written: the same for every format."""

import contextlib
import functools
import gc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mnistbench.analysis import costs, curves, growth, quality, tables
from mnistbench.analysis.checks import Finding, run_checks
from mnistbench.analysis.configurations import Configuration, configurations
from mnistbench.analysis.correctness import (
    Correctness,
    by_group,
    classes_frame,
    compare_pairs,
    confused_frame,
    find_correctness,
    most_frequent_share,
    pairs_frame,
)
from mnistbench.analysis.forecasts import ForecastErrors, forecast_errors
from mnistbench.analysis.group_errors import GroupErrors, group_errors
from mnistbench.analysis.headline import headline
from mnistbench.analysis.robustness import Robustness, robustness
from mnistbench.analysis.soft_vote import SoftVote, soft_vote
from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.machine import Environment
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import LearningCurve, Record, RunInfo, Session
from mnistbench.runs.sessions import Overhead, machine_drift, overhead
from mnistbench.stats.pairs import PairedTest
from mnistbench.stats.verdicts import TieGroup, tie_groups

DETAILED_ROWS = 16
"""Configurations, from the best, that are compared pair by pair and get figures of their own."""


@dataclass(frozen=True)
class Contents:
    """Everything that a report shows of one run."""

    info: RunInfo
    records: Sequence[Record]
    sessions: Sequence[Session]  # the sessions in which its trials ran
    truth: Labels | None  # the true labels of the images that it is evaluated on; None where it stored none
    groups: EvaluationGroups | None  # which of these images belong together; None where it is not known
    rows: Sequence[Configuration]  # its configurations, best first
    found: Mapping[str, Correctness]  # what their predictions say, by label, where these are at hand
    tests: Sequence[PairedTest]  # the paired tests of the first `DETAILED_ROWS` of them
    ties: Sequence[TieGroup]  # groups of labels none of which is better than another, best first
    learned: Mapping[str, Sequence[LearningCurve]]  # the learning curves, by label
    families: Sequence[growth.Family]  # the models that were trained on three sizes or more
    voted: SoftVote | None
    findings: Sequence[Finding]
    by_group: GroupErrors | None  # how the errors fall on the groups; None where these are unknown
    robustness: Robustness | None  # the results on corrupted copies; None where these were not measured

    @property
    def headline(self) -> str:
        """The result of the run in one sentence."""
        return headline(self.info, self.rows, self.tests)

    @functools.cached_property
    def tables(self) -> Mapping[str, tables.Table]:
        """What is shown, by name; those that would be empty are left out."""
        info, rows, voted, fallen = self.info, self.rows, self.voted, self.by_group
        trust, timings = costs.time_trust(rows, self.sessions), costs.timings(rows, self.sessions)
        offered = {
            "results": tables.results(rows, self.ties, trust, () if info.is_validation else info.models),
            "ensemble": voted.result if voted else None,
            "ensemble_members": voted.members if voted else None,
            "failures": tables.failures(rows),
            "quality": quality.predictions(rows, self.found),
            "by_class": quality.by_class(self._of_classes, self.evaluated, info.dataset.class_name),
            "by_group": fallen.result if fallen else None,
            "growth": growth.growth(self.families),
            "time_to_accuracy": curves.time_to_level(self.learned, self.families),
            "robustness": self.robustness.result if self.robustness else None,
            "models": tables.models(rows, info),
            "spreads": costs.spreads(timings.frame),
            "timings": timings,
            "serving": costs.serving(rows),
            "doubts": costs.doubts(trust),
        }
        return {name: table for name, table in offered.items() if table is not None}

    @functools.cached_property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """All values, raw, by name: those of the tables, and more."""
        return {
            **{name: table.frame for name, table in self.tables.items() if name not in _IN_OTHER_FRAMES},
            "trials": tables.trials(self.rows, self.info.forecasts),
            "findings": tables.findings(self.findings),
            "pairs": pairs_frame(self.tests),
            "confused_pairs": confused_frame(self.found, self.info.dataset.classes),
            "classes": self._of_classes,
            **({"groups": self.by_group.frame} if self.by_group else {}),
            **({"corruptions": self.robustness.frame} if self.robustness else {}),
        }

    @functools.cached_property
    def _of_classes(self) -> pd.DataFrame:
        return classes_frame(self.found, self.info.dataset.classes)

    @property
    def overhead(self) -> Overhead | None:
        """What the harness cost; None where it is not known."""
        return overhead(self.sessions, self.records)

    @property
    def drift(self) -> float | None:
        """How far the machine's speed moved; None where it is not known."""
        return machine_drift(self.sessions, [record.trial.id for record in self.records])

    @property
    def forecast_errors(self) -> ForecastErrors | None:
        """How far the forecasts were off; None where there were none."""
        return forecast_errors(self.info, self.records)

    @property
    def evaluated(self) -> int:
        """How many images the run is evaluated on; 0 where no trial was successful."""
        return max((row.test_count for row in self.rows), default=0)

    @property
    def trial_count(self) -> int:
        """How many trials were planned."""
        return sum(len(row.trials) for row in self.rows)

    @property
    def waiting(self) -> int:
        """How many trials have not run."""
        return self.trial_count - len(self.records)

    @property
    def has_second_trainings(self) -> bool:
        """Whether the learning curves are of second trainings, as earlier versions took them."""
        return any(curve.second_training for each in self.learned.values() for curve in each)

    @property
    def has_several_seeds(self) -> bool:
        """Whether some accuracy is a mean over seeds."""
        return any(len(row.by_seed) > 1 for row in self.rows)

    @property
    def has_several_timings(self) -> bool:
        """Whether some time is a median."""
        return any(len(row.measurements) > 1 for row in self.rows)

    @property
    def ran_side_by_side(self) -> bool:
        """Whether other trials ran beside some trial."""
        return any(record.beside for record in self.records)

    @property
    def is_training_covered(self) -> bool:
        """Whether every paired test takes the seeds into account."""
        return all(test.training_covered for test in self.tests)

    @property
    def detailed(self) -> Sequence[Configuration]:
        """The configurations that are described one by one."""
        return [row for row in self.rows if row.by_seed][:DETAILED_ROWS]

    @property
    def compared(self) -> Sequence[str]:
        """The labels of the configurations that are compared pair by pair."""
        return list(self.found)[:DETAILED_ROWS]

    @property
    def environments(self) -> Sequence[Environment]:
        """What the trials ran on, each once; without any record, what the run was planned on."""
        found: list[Environment] = []
        for record in self.records:
            if record.environment not in found:
                found.append(record.environment)
        return found or [self.info.environment]

    @property
    def lost_and_rerun(self) -> Sequence[str]:
        """The trials that ran again because the worker of a cluster was lost."""
        return [
            f"{row.label}, seed {record.trial.seed}"
            for row in self.rows
            for record in row.records
            if record.attempts > 1
        ]

    @property
    def warnings(self) -> Sequence[tuple[str, str]]:
        """The distinct warnings of the libraries, each with its configuration's label."""
        return list(
            dict.fromkeys((row.label, w) for row in self.rows for m in row.measurements for w in m.warnings)
        )


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # The records of a large run are hundreds of thousands of objects, all of which stay: to look through them
    # for garbage, again and again as their number grows, takes a quarter of the time of its report.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_contents(folder: RunFolder) -> Contents:
    """Return everything that the report of a run shows."""
    with _no_garbage_collection():
        info, records, sessions = folder.info(), folder.records(), folder.sessions()
        rows = configurations(info, records)
    truth, classes = folder.true_labels(), info.dataset.classes
    truth = truth if truth is not None and len(truth) else None  # a run may have been planned without any
    found = {} if truth is None else find_correctness(folder, rows, truth, classes, DETAILED_ROWS)
    groups = folder.groups() if truth is not None else None
    if groups is not None:
        rows = by_group(rows, found, groups)
    compared = dict(itertools.islice(found.items(), DETAILED_ROWS))
    tests = compare_pairs(compared, groups, info.margin) if len(compared) > 1 else []
    ties = tie_groups(list(compared), tests)
    findings = run_checks(
        rows,
        models=info.models,
        sessions=sessions,
        tests=tests,
        margin=info.margin,
        most_frequent_share=None if truth is None else most_frequent_share(truth),
    )
    return Contents(
        info=info,
        records=records,
        sessions=sessions,
        truth=truth,
        groups=groups,
        rows=rows,
        found=found,
        tests=tests,
        ties=ties,
        learned=curves.curves(rows),
        families=growth.families(rows),
        voted=soft_vote(folder, rows, truth, groups, classes),
        findings=findings,
        by_group=group_errors(compared, groups, info) if groups is not None and compared else None,
        robustness=robustness(folder, info, rows, truth),
    )


_IN_OTHER_FRAMES = ("failures", "by_class", "by_group", "spreads")
