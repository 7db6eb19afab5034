"""Writes the report of one run: the page, its figures and its tables."""

import itertools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistbench.analysis import curves, quality, tables
from mnistbench.analysis.checks import CHECKS, told_once
from mnistbench.analysis.configurations import NOT_RUN, STATUS_NAMES, Configuration, status_counts
from mnistbench.analysis.contents import DETAILED_ROWS, Contents, contents
from mnistbench.analysis.headline import images_of, notice, title
from mnistbench.datasets import cache_folder
from mnistbench.errors import MnistbenchError
from mnistbench.machine import Environment
from mnistbench.report import exports, figures, html
from mnistbench.report.gallery import Gallery, Mistake, Pictures, gallery, pictures
from mnistbench.report.markdown import Markdown, escape, image, render
from mnistbench.report.markdown import table as rendered
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Failure, Record, RunInfo, Status
from mnistbench.text import RESULTS, command, duration, plural

DETAILED_FAILURES = 20
FINDINGS_SHOWN = 12
# Tables that a run may lack; the templates ask for each of them.
_TABLES = ("failures", "by_class", "time_to_accuracy", "spreads", "serving", "doubts")
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
        mistakes: The name of the figure with its surest mistakes; None without pictures, or without mistakes.
        pairs: Its most confused classes.
    """

    row: Configuration
    summary: str
    confusion: str | None
    reliability: str | None
    mistakes: str | None
    pairs: tables.Table | None


def write(folder: RunFolder, results: Path | None, formats: Collection[str] = ()) -> Path:
    """Write the report of one run; see `mnistbench.report.write_report`."""
    said = contents(folder)
    info, exported = said.info, _exported(said, formats)
    csv = {
        f"{stem}.csv": tables.csv(frame, info, exact=stem == "trials") for stem, frame in said.frames.items()
    }
    try:
        shown = _gallery(folder, said)
        small = pictures(folder, info, shown, cache_folder()) if shown is not None else None
        sections = _sections(said, shown, small)
        drawn = _drawn(said, sections, shown, small)
        values = _values(folder, said, sections, drawn)
        _write_all(folder, "figures", {f"{stem}.svg": svg for stem, svg in drawn.items()})
        _write_all(folder, "tables", csv)
        if exported:
            _write_all(folder, "exports", exported)
        folder.write("report.md", _page(values, "").encode())
        folder.write("report.html", html.page(said, values, drawn, shown, small))
        if results is not None and folder.is_newest_of(results):
            prefix = Path(os.path.relpath(folder.path, results)).as_posix() + "/"
            RunFolder(results).write("report.md", _page(values, prefix).encode())
    except OSError as error:
        raise MnistbenchError(
            f"cannot write the report into {folder.path}: {error.strerror or error}. The records are kept; "
            f"`{folder.command('report')}` writes it once there is room."
        ) from error
    return folder.path / "report.md"


def _detailed(said: Contents) -> list[Configuration]:
    """Return the configurations that are described one by one."""
    return [row for row in said.rows if row.by_seed][:DETAILED_ROWS]


def _gallery(folder: RunFolder, said: Contents) -> Gallery | None:
    if said.truth is None:
        return None
    # Only MNIST's test images have a list of label errors, and so a score without them.
    is_mnist_test = bool(said.frames["quality"]["accuracy_without_label_errors"].notna().any())
    return gallery(
        folder, _detailed(said), said.truth, said.info.dataset.classes, is_mnist_test=is_mnist_test
    )


def _values(
    folder: RunFolder, said: Contents, sections: Sequence[Section], drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return what the templates show."""
    info, rows = said.info, said.rows
    failed, results = _failed(folder, info, rows), _results(info)
    good = [row for row in rows if row.accuracy is not None]
    trial_count = sum(len(row.trials) for row in rows)
    return {
        **dict.fromkeys(_TABLES),
        **said.tables,
        "info": info,
        "title": title(info),
        "date": info.created_at[:10],
        "notice": notice(info),
        "images": images_of(info),
        "is_validation": info.is_validation,
        "evaluated": said.evaluated,
        "trials_planned": trial_count,
        "trial_count": plural(trial_count, "trial"),
        "status_counts": status_counts(rows),
        "waiting": trial_count - len(said.records),
        "several_seeds": any(len(row.by_seed) > 1 for row in rows),
        "several_timings": any(len(row.measurements) > 1 for row in rows),
        "beside": any(r.beside for r in said.records),
        "headline": said.headline,
        "ties": said.ties,
        "compared": min(len(said.found), DETAILED_ROWS),
        "voted": said.voted,
        "training_covered": all(test.training_covered for test in said.tests),
        "findings": [
            (CHECKS[code], list(told))
            for code, told in itertools.groupby(told_once(said.findings), lambda finding: finding.code)
        ],
        "findings_shown": FINDINGS_SHOWN,
        "overhead": said.overhead,
        "drift": said.drift,
        "drawn": set(drawn),
        "sections": sections,
        "undetailed": len(good) - len(sections),
        "unexplained": [s.row.label for s in sections if s.confusion is None],
        "failed": failed[:DETAILED_FAILURES],
        "unlisted_failures": max(len(failed) - DETAILED_FAILURES, 0),
        "warned": [(row.label, w) for row in rows for w in _warnings(row)],
        "environments": _environments(info, said.records),
        "started": command(*info.command),
        "repeat": command("repeat", info.name, results=results),
        "resume": command("run", "--resume", info.name, results=results),
        "report": command("report", info.name, results=results),
        "verify": command("verify", info.name, results=results),
        "rerun": [
            f"{row.label}, seed {record.trial.seed}"
            for row in rows
            for record in row.records
            if record.attempts > 1
        ],
        "not_run": NOT_RUN,
    }


def _exported(said: Contents, formats: Collection[str]) -> dict[str, bytes]:
    """Return the files of the formats beside the pages, by name."""
    files = {}
    if "json" in formats:
        files["report.json"] = exports.json_file(said)
    if "latex" in formats:
        files["tables.tex"] = exports.latex_file(said)
    if "parquet" in formats:
        files |= {f"{name}.parquet": content for name, content in exports.parquet_files(said).items()}
    return files


def _write_all(folder: RunFolder, kind: str, files: Mapping[str, bytes]) -> None:
    """Write generated files into a folder of the run, and take away those of an earlier report."""
    place = folder.path / kind
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        folder.write(f"{kind}/{name}", content)
    for old in place.iterdir():
        if old.name not in files and old.suffix in (".svg", ".csv", ".parquet"):
            old.unlink()


def _sections(said: Contents, shown: Gallery | None, small: Pictures | None) -> list[Section]:
    """Say which figures belong to which configuration."""
    summaries = {model.name: model.summary for model in said.info.models}
    sections = []
    names: set[str] = set()
    for row in _detailed(said):
        stem = _file_stem(row.label, names)
        each = said.found.get(row.label)
        calibrated = each is not None and each.reliability is not None and _calibration_error(row) is not None
        sections.append(
            Section(
                row=row,
                summary=summaries.get(row.model, ""),
                confusion=f"confusion-{stem}" if each is not None else None,
                reliability=f"reliability-{stem}" if calibrated else None,
                mistakes=f"mistakes-{stem}" if _seen(shown, small, row.label) else None,
                pairs=quality.most_confused(row.label, len(row.by_seed), said.frames["confused_pairs"]),
            )
        )
    return sections


def _seen(shown: Gallery | None, small: Pictures | None, label: str) -> list[Mistake]:
    """Return the surest mistakes of one configuration of which there are pictures."""
    if shown is None or small is None:
        return []
    pictured = set(small.index)
    return [mistake for mistake in shown.surest(label) if mistake.image in pictured]


def _contact_sheet(shown: Gallery, small: Pictures, label: str) -> bytes:
    place = {image: where for where, image in enumerate(small.index)}
    seen = _seen(shown, small, label)
    return figures.contact_sheet(
        [small.pixels[place[mistake.image]] for mistake in seen],
        [_caption(mistake, shown) for mistake in seen],
        is_dark=small.is_dark,
        label=label,
    )


def _caption(mistake: Mistake, shown: Gallery) -> tuple[str, str]:
    told = "label error" if mistake.image in shown.label_errors else ""
    if mistake.confidence is not None:
        told = f"{100 * mistake.confidence:.0f} %{', ' if told else ''}{told}"
    return f"{mistake.true_label} as {mistake.predicted_label}", told


def _drawn(
    said: Contents, sections: Sequence[Section], shown: Gallery | None, small: Pictures | None
) -> dict[str, bytes]:
    """Draw the figures, SVG by name."""
    drawn = {}
    points = [point for row in said.rows if (point := _point(row)) is not None]
    if points:
        drawn["accuracy-fit"] = figures.accuracy_against_time(points, said.evaluated)
    if said.tests:
        compared = list(said.found)[:DETAILED_ROWS]
        drawn["significance"] = figures.significance(compared, said.tests, said.evaluated)
    if said.learned:
        drawn["learning-curves"] = figures.learning_curves(
            curves.lines(said.learned), curves.holdout_images(said.learned)
        )
    for section in sections:
        label = section.row.label
        if section.confusion is not None:
            drawn[section.confusion] = figures.confusion(
                said.found[label].confusion, said.info.dataset.classes, label
            )
        if section.reliability is not None:
            bins, error = said.found[label].reliability or [], _calibration_error(section.row) or 0.0
            drawn[section.reliability] = figures.reliability(bins, error, label)
        if section.mistakes is not None and shown is not None and small is not None:
            drawn[section.mistakes] = _contact_sheet(shown, small, label)
    return drawn


def _calibration_error(row: Configuration) -> float | None:
    return tables.scores(row)["calibration_error"]


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


def _failed(folder: RunFolder, info: RunInfo, rows: Sequence[Configuration]) -> list[dict[str, str]]:
    """Describe what went wrong, once for all trials of a configuration that failed alike."""
    alike: dict[tuple[str, Status, Failure | None], list[Record]] = {}
    for row in rows:
        for record in row.records:
            if record.status is not Status.OK:
                alike.setdefault((row.label, record.status, record.failure), []).append(record)
    results = _results(info)
    return [
        {
            "label": label,
            "status": STATUS_NAMES[status],
            "cause": str(failure) if failure else "The cause is not known.",
            "times": f" ({plural(len(records), 'trial')} alike)" if len(records) > 1 else "",
            **_told(failure, folder.log(records[0].trial.id)),
            "again": "\n".join(
                command("run", "--trial", f"{info.name}/{record.trial.id}", results=results)
                for record in records
            ),
        }
        for (label, status, failure), records in alike.items()
    ]


def _results(info: RunInfo) -> Path:
    """Return the folder of the runs in which this one was made, as it was typed."""
    typed = list(info.command)
    for place, word in enumerate(typed):
        if word == "--results" and place + 1 < len(typed):
            return Path(typed[place + 1])
        if word.startswith("--results="):
            return Path(word.partition("=")[2])
    return RESULTS


def _told(failure: Failure | None, log: str) -> dict[str, str]:
    """Choose what to show of a failure: the end of its log, and its traceback unless the log has it."""
    traceback = failure.traceback.strip() if failure else ""
    return {"log": _tail(log), "traceback": "" if traceback in log else _tail(traceback)}


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
