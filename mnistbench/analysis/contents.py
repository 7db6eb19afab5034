"""What a report says of a run, before any of it is drawn or written: the same for every format."""

import contextlib
import gc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mnistbench.analysis import costs, curves, quality, tables
from mnistbench.analysis.checks import Finding, run_checks
from mnistbench.analysis.configurations import Configuration, configurations
from mnistbench.analysis.evidence import (
    Evidence,
    Labels,
    classes_frame,
    compare_pairs,
    confused_frame,
    evidences,
    most_frequent_share,
    pairs_frame,
)
from mnistbench.analysis.headline import headline
from mnistbench.analysis.soft_vote import SoftVote, soft_vote
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import LearningCurve, Record, RunInfo
from mnistbench.runs.sessions import Overhead, machine_drift, overhead
from mnistbench.stats.accuracy import PairedTest, tie_groups

DETAILED_ROWS = 16
"""Configurations, from the best, that are compared pair by pair and get figures of their own."""


@dataclass(frozen=True)
class Contents:
    """Everything that a report says of one run.

    Attributes:
        info: The run's plan.
        records: Its finished trials.
        truth: The true labels of the images that judge it; None where it stored none.
        rows: Its configurations, best first.
        found: What their predictions say, by label; of those whose predictions are at hand.
        tests: The paired tests of the first `DETAILED_ROWS` of them.
        ties: Groups of labels that cannot be told apart, best first.
        learned: The learning curves, by label.
        voted: The ensemble's part; None where there is none.
        findings: What the checks found.
        headline: The result in a sentence or two.
        tables: What is shown, by name; those that would be empty are left out.
        frames: All values, raw, by name: those of the tables, and more.
        overhead: What the harness cost; None where it is not known.
        drift: How far the machine's speed moved; None where it is not known.
    """

    info: RunInfo
    records: Sequence[Record]
    truth: Labels | None
    rows: Sequence[Configuration]
    found: Mapping[str, Evidence]
    tests: Sequence[PairedTest]
    ties: Sequence[Sequence[str]]
    learned: Mapping[str, Sequence[LearningCurve]]
    voted: SoftVote | None
    findings: Sequence[Finding]
    headline: str
    tables: Mapping[str, tables.Table]
    frames: Mapping[str, pd.DataFrame]
    overhead: Overhead | None
    drift: float | None

    @property
    def evaluated(self) -> int:
        """How many images the run is judged by; 0 where no trial was successful."""
        return max((row.test_count for row in self.rows), default=0)


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
def contents(folder: RunFolder) -> Contents:
    """Work out everything that the report of a run says.

    Raises:
        MnistbenchError: The run folder is damaged.
    """
    info, records, sessions = folder.info(), folder.records(), folder.sessions()
    rows = configurations(info, records)
    truth, classes = folder.true_labels(), info.dataset.classes
    if truth is not None and len(truth) == 0:  # of a run that was planned without images to judge it
        truth = None
    found = {} if truth is None else evidences(folder, rows, truth, classes, DETAILED_ROWS)
    compared = dict(itertools.islice(found.items(), DETAILED_ROWS))
    tests = compare_pairs(compared) if len(compared) > 1 else []
    ties = [group for group in tie_groups(list(compared), tests) if len(group) > 1]
    trust = costs.time_trust(rows, sessions)
    by_class = classes_frame(found, classes)
    findings = run_checks(
        {row.label: row.records for row in rows},
        models=info.models,
        sessions=sessions,
        tests=tests,
        most_frequent_share=None if truth is None else most_frequent_share(truth),
    )
    learned = curves.curves(rows)
    voted = soft_vote(folder, rows, truth, classes)
    timings = costs.timings(rows, sessions)
    offered = {
        "results": tables.results(rows, ties, trust),
        "ensemble": voted.result if voted else None,
        "ensemble_members": voted.members if voted else None,
        "failures": tables.failures(rows),
        "quality": quality.predictions(rows, found),
        "by_class": quality.by_class(by_class, max((row.test_count for row in rows), default=0)),
        "time_to_accuracy": curves.time_to_level(learned),
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
        rows=rows,
        found=found,
        tests=tests,
        ties=ties,
        learned=learned,
        voted=voted,
        findings=findings,
        headline=headline(info, rows, ties),
        tables=shown,
        frames={
            **{name: table.frame for name, table in shown.items() if name not in _SHOWN_ONLY},
            "trials": tables.trials(rows),
            "findings": tables.findings(findings),
            "pairs": pairs_frame(tests),
            "confused_pairs": confused_frame(found, classes),
            "classes": by_class,
        },
        overhead=overhead(sessions, records),
        drift=machine_drift(sessions, [record.trial.id for record in records]),
    )


_SHOWN_ONLY = ("failures", "by_class", "spreads")  # what they say is in the frames of others
