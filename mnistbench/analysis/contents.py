"""The contents of a report, before any of it is drawn or written: the same for every format."""

import contextlib
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
    Labels,
    by_group,
    classes_frame,
    compare_pairs,
    confused_frame,
    find_correctness,
    most_frequent_share,
    pairs_frame,
)
from mnistbench.analysis.group_errors import GroupErrors, group_errors
from mnistbench.analysis.headline import headline
from mnistbench.analysis.robustness import Robustness, robustness
from mnistbench.analysis.soft_vote import SoftVote, soft_vote
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.machine import Environment
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import LearningCurve, Record, RunInfo
from mnistbench.runs.sessions import Overhead, machine_drift, overhead
from mnistbench.stats.pairs import PairedTest
from mnistbench.stats.verdicts import TieGroup, tie_groups

DETAILED_ROWS = 16
"""Configurations, from the best, that are compared pair by pair and get figures of their own."""


@dataclass(frozen=True)
class Contents:
    """Everything that a report shows of one run.

    Attributes:
        truth: The true labels of the images that it is evaluated on; None where it stored none.
        groups: Which of these images belong together; None where it is not known.
        rows: Its configurations, best first.
        found: What their predictions say, by label; of those whose predictions are at hand.
        tests: The paired tests of the first `DETAILED_ROWS` of them.
        ties: Groups of labels none of which is better than another, best first.
        learned: The learning curves, by label.
        families: The models that were trained on three sizes or more.
        tables: What is shown, by name; those that would be empty are left out.
        frames: All values, raw, by name: those of the tables, and more.
        overhead: What the harness cost; None where it is not known.
        drift: How far the machine's speed moved; None where it is not known.
        by_group: How the errors fall on the groups; None where these are unknown.
        robustness: The results on corrupted copies; None where these were not measured.
    """

    info: RunInfo
    records: Sequence[Record]
    truth: Labels | None
    groups: EvaluationGroups | None
    rows: Sequence[Configuration]
    found: Mapping[str, Correctness]
    tests: Sequence[PairedTest]
    ties: Sequence[TieGroup]
    learned: Mapping[str, Sequence[LearningCurve]]
    families: Sequence[growth.Family]
    voted: SoftVote | None
    findings: Sequence[Finding]
    headline: str
    tables: Mapping[str, tables.Table]
    frames: Mapping[str, pd.DataFrame]
    overhead: Overhead | None
    drift: float | None
    by_group: GroupErrors | None
    robustness: Robustness | None

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


@_no_garbage_collection()
def read_contents(folder: RunFolder) -> Contents:
    """Return everything that the report of a run shows.

    Raises:
        MnistbenchError: The run folder is damaged.
    """
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
    trust = costs.time_trust(rows, sessions)
    by_class = classes_frame(found, classes)
    findings = run_checks(
        rows,
        models=info.models,
        sessions=sessions,
        tests=tests,
        margin=info.margin,
        most_frequent_share=None if truth is None else most_frequent_share(truth),
    )
    fallen = group_errors(compared, groups, info) if groups is not None and compared else None
    copies = robustness(folder, info, rows, truth)
    learned, voted = curves.curves(rows), soft_vote(folder, rows, truth, groups, classes)
    families = growth.families(rows)
    timings = costs.timings(rows, sessions)
    offered = {
        "results": tables.results(rows, ties, trust, () if info.is_validation else info.models),
        "ensemble": voted.result if voted else None,
        "ensemble_members": voted.members if voted else None,
        "failures": tables.failures(rows),
        "quality": quality.predictions(rows, found),
        "by_class": quality.by_class(
            by_class, max((row.test_count for row in rows), default=0), info.dataset.class_name
        ),
        "by_group": fallen.result if fallen else None,
        "growth": growth.growth(families),
        "time_to_accuracy": curves.time_to_level(learned, families),
        "robustness": copies.result if copies else None,
        "models": tables.models(rows, info),
        "spreads": costs.spreads(timings.frame),
        "timings": timings,
        "serving": costs.serving(rows),
        "doubts": costs.doubts(trust),
    }
    shown = {name: table for name, table in offered.items() if table is not None}
    return Contents(
        info=info,
        records=records,
        truth=truth,
        groups=groups,
        rows=rows,
        found=found,
        tests=tests,
        ties=ties,
        learned=learned,
        families=families,
        voted=voted,
        findings=findings,
        headline=headline(info, rows, tests),
        tables=shown,
        frames={
            **{name: table.frame for name, table in shown.items() if name not in _IN_OTHER_FRAMES},
            "trials": tables.trials(rows),
            "findings": tables.findings(findings),
            "pairs": pairs_frame(tests),
            "confused_pairs": confused_frame(found, classes),
            "classes": by_class,
            **({"groups": fallen.frame} if fallen else {}),
            **({"corruptions": copies.frame} if copies else {}),
        },
        overhead=overhead(sessions, records),
        drift=machine_drift(sessions, [record.trial.id for record in records]),
        by_group=fallen,
        robustness=copies,
    )


_IN_OTHER_FRAMES = ("failures", "by_class", "by_group", "spreads")
