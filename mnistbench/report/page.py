"""Writes the report of one run: the page, its figures and its tables."""

import itertools
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mnistbench.checks import CHECKS, run_checks
from mnistbench.configurations import (
    NOT_RUN,
    STATUS_NAMES,
    Configuration,
    configurations,
    status_counts,
)
from mnistbench.datasets import cache_folder
from mnistbench.environment import Environment
from mnistbench.errors import MnistbenchError
from mnistbench.formats import duration, plural
from mnistbench.records import Failure, Record, RunInfo, Status
from mnistbench.report import costs, curves, figures, html, quality, tables
from mnistbench.report.evidence import (
    Evidence,
    classes_frame,
    compare_pairs,
    confused_frame,
    evidences,
    most_frequent_share,
    pairs_frame,
    true_labels,
)
from mnistbench.report.headline import headline, images_of, is_validation
from mnistbench.report.markdown import Markdown, escape, image, render
from mnistbench.report.markdown import table as rendered
from mnistbench.report.soft_vote import soft_vote
from mnistbench.runs import RunFolder, find_runs
from mnistbench.sessions import machine_drift, overhead
from mnistbench.stats import tie_groups

DETAILED_ROWS = 24
"""Configurations, from the best, that get figures of their own."""

DETAILED_FAILURES = 20
FINDINGS_SHOWN = 12
_LOG_LINES = 15
_LINE_LENGTH = 300


@dataclass(frozen=True)
class Section:
    """What the report says of one configuration.

    Attributes:
        row: The configuration.
        summary: The first line of its model file's docstring.
        confusion: The name of its figure; None where its predictions are not at hand.
        reliability: The name of its figure; None where it gives no probabilities.
        pairs: Its most confused classes.
    """

    row: Configuration
    summary: str
    confusion: str | None
    reliability: str | None
    pairs: tables.Table | None


@dataclass(frozen=True)
class Content:
    """Everything that a report says.

    Attributes:
        values: What the page's template shows.
        drawn: The figures, SVG by name.
        frames: The tables as raw values, by name.
    """

    values: Mapping[str, Any]
    drawn: Mapping[str, bytes]
    frames: Mapping[str, pd.DataFrame]


def write(folder: RunFolder, results: Path | None) -> Path:
    """Write the report of one run; see `mnistbench.report.write_report`."""
    info = folder.info()
    content = _content(folder, info)
    name = f"{info.dataset.name} in place of MNIST" if info.dataset.fallback_reason else info.dataset.name
    split = "validation" if is_validation(info) else "test"
    csv = {f"{stem}.csv": tables.csv(frame, name, split) for stem, frame in content.frames.items()}
    try:
        _write_all(folder, "figures", {f"{stem}.svg": svg for stem, svg in content.drawn.items()})
        _write_all(folder, "tables", csv)
        folder.write("report.md", _page(content.values, "").encode())
        page = html.page(folder, info, content.values, content.drawn, content.frames, cache_folder())
        folder.write("report.html", page)
        if results is not None and _is_newest(folder, results):
            prefix = Path(os.path.relpath(folder.path, results)).as_posix() + "/"
            RunFolder(results).write("report.md", _page(content.values, prefix).encode())
    except OSError as error:
        raise MnistbenchError(
            f"cannot write the report into {folder.path}: {error.strerror or error}. The records are kept; "
            f"`mnistbench report {info.name}` writes it once there is room."
        ) from error
    return folder.path / "report.md"


def _content(folder: RunFolder, info: RunInfo) -> Content:
    """Work out everything that the report says."""
    records, sessions = folder.records(), folder.sessions()
    rows = configurations(info, records)
    truth, classes = true_labels(folder), info.dataset.classes
    found = {} if truth is None else evidences(folder, rows, truth, classes)
    compared = dict(itertools.islice(found.items(), DETAILED_ROWS))
    tests = compare_pairs(compared) if len(compared) > 1 else []
    ties = [group for group in tie_groups(list(compared), tests) if len(group) > 1]
    trust = costs.time_trust(rows, sessions)
    images = max((row.test_count for row in rows), default=0)
    confused, by_class = confused_frame(found, classes), classes_frame(found, classes)
    drawn, sections = _drawn(info, rows, found, confused)
    if tests:
        drawn["significance"] = figures.significance(list(compared), tests, images)
    learned = curves.curves(rows)
    if learned:
        drawn["learning-curves"] = curves.figure(learned)
    findings = run_checks(
        {row.label: row.records for row in rows},
        models=info.models,
        sessions=sessions,
        tests=tests,
        most_frequent_share=None if truth is None else most_frequent_share(truth),
    )
    timings = costs.timings(rows, sessions)
    voted = soft_vote(folder, rows, truth, classes)
    shown = {
        "results": tables.results(rows, ties, trust),
        "quality": quality.predictions(rows, found),
        "timings": timings,
        "serving": costs.serving(rows),
        "time_to_accuracy": curves.time_to_level(learned),
        "doubts": costs.doubts(trust),
        "models": tables.models(rows, info),
        **({"ensemble": voted.result, "ensemble_members": voted.members} if voted is not None else {}),
    }
    values = {
        **_values(folder, info, records, rows, sections),
        **shown,
        "headline": headline(info, rows, ties),
        "ties": ties,
        "compared": len(compared),
        "voted": voted,
        "training_covered": all(test.training_covered for test in tests),
        "findings": [
            (CHECKS[code], list(told)) for code, told in itertools.groupby(findings, lambda f: f.code)
        ],
        "findings_shown": FINDINGS_SHOWN,
        "failures": tables.failures(rows),
        "by_class": quality.by_class(by_class, images),
        "spreads": costs.spreads(timings.frame),
        "overhead": overhead(sessions, records),
        "drift": machine_drift(sessions, [record.trial.id for record in records]),
        "drawn": set(drawn),
    }
    frames = {
        **{name: table.frame for name, table in shown.items() if table is not None},
        "trials": tables.trials(rows),
        "findings": tables.findings(findings),
        "pairs": pairs_frame(tests),
        "confused_pairs": confused,
        "classes": by_class,
    }
    return Content(values, drawn, frames)


def _is_newest(folder: RunFolder, results: Path) -> bool:
    runs = find_runs(results)
    return bool(runs) and runs[-1].path.resolve() == folder.path.resolve()


def _write_all(folder: RunFolder, kind: str, files: Mapping[str, bytes]) -> None:
    """Write generated files into a folder of the run, and take away those of an earlier report."""
    place = folder.path / kind
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        folder.write(f"{kind}/{name}", content)
    for old in place.iterdir():
        if old.name not in files and old.suffix in (".svg", ".csv"):
            old.unlink()


def _drawn(
    info: RunInfo, rows: Sequence[Configuration], found: Mapping[str, Evidence], confused: pd.DataFrame
) -> tuple[dict[str, bytes], list[Section]]:
    """Draw the figures, by name, and say which of them belong to which configuration."""
    drawn = {}
    points = [point for row in rows if (point := _point(row)) is not None]
    if points:
        drawn["accuracy-fit"] = figures.accuracy_against_time(points, max(row.test_count for row in rows))
    summaries = {model.name: model.summary for model in info.models}
    sections = []
    names: set[str] = set()
    for row in [row for row in rows if row.by_seed][:DETAILED_ROWS]:
        stem = _file_stem(row.label, names)
        each = found.get(row.label)
        error = tables.scores(row)["calibration_error"]
        if each is not None:
            drawn[f"confusion-{stem}"] = figures.confusion(each.confusion, info.dataset.classes, row.label)
        if each is not None and each.reliability is not None and error is not None:
            drawn[f"reliability-{stem}"] = figures.reliability(each.reliability, error, row.label)
        sections.append(
            Section(
                row=row,
                summary=summaries.get(row.model, ""),
                confusion=f"confusion-{stem}" if f"confusion-{stem}" in drawn else None,
                reliability=f"reliability-{stem}" if f"reliability-{stem}" in drawn else None,
                pairs=quality.most_confused(row.label, len(row.by_seed), confused),
            )
        )
    return drawn, sections


def _point(row: Configuration) -> figures.Point | None:
    accuracy = tables.estimate(row)
    if accuracy is None or not row.fit_seconds:
        return None
    return figures.Point(row.label, row.fit_seconds, accuracy.mean, accuracy.sampling, row.accuracies)


def _file_stem(label: str, taken: set[str]) -> str:
    """Turn a label into a file name that is safe everywhere and, letter case apart, not taken yet."""
    plain = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.")[:60] or "model"
    stem, number = plain, 1
    while stem in taken:
        number += 1
        stem = f"{plain}-{number}"
    taken.add(stem)
    return stem


def _values(
    folder: RunFolder,
    info: RunInfo,
    records: Sequence[Record],
    rows: Sequence[Configuration],
    sections: Sequence[Section],
) -> dict[str, Any]:
    failed = _failed(folder, info, rows)
    good = [row for row in rows if row.accuracy is not None]
    return {
        "info": info,
        "title": _title(info),
        "date": info.created_at[:10],
        "notice": _notice(info),
        "images": images_of(info),
        "is_validation": is_validation(info),
        "evaluated": max((row.test_count for row in rows), default=0),
        "trials_planned": sum(len(row.trials) for row in rows),
        "trial_count": plural(sum(len(row.trials) for row in rows), "trial"),
        "status_counts": status_counts(rows),
        "waiting": sum(len(row.trials) for row in rows) - len(records),
        "several_seeds": any(len(row.by_seed) > 1 for row in rows),
        "several_timings": any(len(row.measurements) > 1 for row in rows),
        "beside": any(r.beside for r in records),
        "sections": sections,
        "undetailed": len(good) - len(sections),
        "unexplained": [s.row.label for s in sections if s.confusion is None],
        "failed": failed[:DETAILED_FAILURES],
        "unlisted_failures": max(len(failed) - DETAILED_FAILURES, 0),
        "warned": [(row.label, w) for row in rows for w in _warnings(row)],
        "environments": _environments(info, records),
        "repeat": shlex.join(["mnistbench", *info.command]),
        "not_run": NOT_RUN,
    }


def _failed(folder: RunFolder, info: RunInfo, rows: Sequence[Configuration]) -> list[dict[str, str]]:
    """Describe what went wrong, once for all trials of a configuration that failed alike."""
    alike: dict[tuple[str, Status, Failure | None], list[Record]] = {}
    for row in rows:
        for record in row.records:
            if record.status is not Status.OK:
                alike.setdefault((row.label, record.status, record.failure), []).append(record)
    return [
        {
            "label": label,
            "status": STATUS_NAMES[status],
            "cause": f"{failure.kind}: {failure.message}" if failure else "The cause is not known.",
            "times": f" ({plural(len(records), 'trial')} alike)" if len(records) > 1 else "",
            **_told(failure, folder.log(records[0].trial.id)),
            "again": "\n".join(
                f"mnistbench run --trial {shlex.quote(f'{info.name}/{record.trial.id}')}"
                for record in records
            ),
        }
        for (label, status, failure), records in alike.items()
    ]


def _told(failure: Failure | None, log: str) -> dict[str, str]:
    """Choose what to show of a failure: the end of its log, and its traceback unless the log has it."""
    traceback = failure.traceback.strip() if failure else ""
    return {"log": _tail(log), "traceback": "" if traceback in log else _tail(traceback)}


def _title(info: RunInfo) -> str:
    title = info.dataset.title
    if info.dataset.fallback_reason:
        title += ", IN PLACE OF MNIST"
    if is_validation(info):
        title += ", VALIDATION IMAGES"
    return title


def _notice(info: RunInfo) -> str:
    """What every table has to say about its images, in a few words; nothing for a plain test."""
    notices = []
    if info.dataset.fallback_reason:
        notices.append(f"{info.dataset.name} in place of MNIST")
    if is_validation(info):
        notices.append("validation images, not test images")
    return "; ".join(notices)


def _warnings(row: Configuration) -> list[str]:
    return list(dict.fromkeys(w for m in row.measurements for w in m.warnings))


def _tail(log: str) -> str:
    lines = log.rstrip().split("\n")
    shown = [
        line if len(line) <= _LINE_LENGTH else line[:_LINE_LENGTH] + " ..." for line in lines[-_LOG_LINES:]
    ]
    if len(lines) > _LOG_LINES:
        shown.insert(0, f"... ({plural(len(lines) - _LOG_LINES, 'line')} above)")
    return "\n".join(shown)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} ..."


def _environments(info: RunInfo, records: Sequence[Record]) -> list[Environment]:
    """List what the trials ran on, each once; without any record, what the run was planned on."""
    found: list[Environment] = []
    for record in records:
        if record.environment not in found:
            found.append(record.environment)
    return found or [info.environment]


def _page(values: Mapping[str, Any], prefix: str) -> str:
    def figure(name: str, description: str) -> Markdown:
        return image(description, f"{prefix}figures/{name}.svg")

    def captioned(shown: tables.Table) -> Markdown:
        notice = f" **({escape(values['notice'])})**" if values["notice"] else ""
        return Markdown(f"**{escape(shown.caption)}**{notice}\n\n{rendered(shown)}")

    functions: dict[str, Callable[..., object]] = {
        "figure": figure,
        "captioned": captioned,
        "duration": duration,
    }
    return render("report.md.jinja", {**values, "prefix": prefix}, functions)
