"""What the pages of a report show beside its contents: figures, sections, commands."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.analysis import curves, growth, quality, tables
from mnistbench.analysis.checks import CHECKS, Check, Finding, joined
from mnistbench.analysis.configurations import STATUS_NAMES, Configuration, status_counts
from mnistbench.analysis.contents import Contents
from mnistbench.analysis.headline import exact_test, images_of, notice, title
from mnistbench.datasets import DatasetInfo
from mnistbench.report import figures
from mnistbench.report.figures import file_stem
from mnistbench.report.gallery import Gallery, Mistake, gallery
from mnistbench.report.growth import growth_figures
from mnistbench.report.pictures import Pictures, pictures
from mnistbench.report.robustness import HardestKind, hardest_kinds, robustness_figures
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Failure, Record, RunInfo, Status
from mnistbench.text import RESULTS, command, plural, to_settle

DETAILED_FAILURES = 20
FINDINGS_SHOWN = 12
UNCLEAR_SHOWN = 6
_LOG_LINES = 15
_LINE_LENGTH = 300


@dataclass(frozen=True)
class ModelSection:
    """What the pages show of one configuration; a figure's name is None where there is nothing to draw."""

    row: Configuration
    summary: str  # the first line of its model file's docstring
    confusion: str | None
    reliability: str | None
    mistakes: str | None
    pairs: tables.Table | None  # its most confused classes


@dataclass(frozen=True)
class FailureSection:
    """What the pages show of the trials of one configuration that failed alike."""

    label: str
    status: str
    cause: str
    alike: str  # how many trials they are, in brackets; empty for one
    log: str  # the end of the first one's log
    traceback: str  # the model's traceback, unless the log has it
    commands: str  # what runs each of them again


@dataclass(frozen=True)
class Page:
    """What the templates of both pages show."""

    contents: Contents
    title: str
    notice: str  # what every table has to say about its images; empty for a plain test
    images: str  # "test images" or "validation images"
    status_counts: str
    findings: Sequence[tuple[Check, Sequence[Finding]]]  # of the checks that found something
    findings_shown: int
    sections: Sequence[ModelSection]  # the configurations that are described one by one
    failures: Sequence[FailureSection]  # the failures that are described one by one
    unlisted_failures: int  # how many more there are
    figures: Mapping[str, bytes]  # SVG files, by name
    resume: str
    repeat: str
    report: str
    verify: str
    started: str
    gallery: Gallery | None  # errors of the models that are described one by one; None without predictions
    pictures: Pictures | None  # of the images that these get wrong; None if the data set was not at hand
    hardest_kinds: Sequence[HardestKind]  # of each configuration whose predictions for copies are at hand

    @property
    def names(self) -> Mapping[str, object]:
        """What the templates call them."""
        contents = self.contents
        return {"page": self, "contents": contents, "info": contents.info, "tables": contents.tables}

    @property
    def exact_test(self) -> str:
        """The test of single fits."""
        return exact_test(self.contents.info)

    @property
    def date(self) -> str:
        """The day of the run, ISO 8601."""
        return self.contents.info.created_at[:10]

    @property
    def undetailed(self) -> int:
        """How many successful configurations are not described one by one."""
        return sum(row.accuracy is not None for row in self.contents.rows) - len(self.sections)

    @property
    def unclear_pairs(self) -> Sequence[str]:
        """The pairs with the verdict "cannot tell", the first of them with what would settle it."""
        unclear = [test for test in self.contents.tests if test.verdict == "cannot tell"]
        listed = [
            f"{test.model_a} and {test.model_b} "
            f"({to_settle(test.images_to_settle, test.seeds_to_settle, together=test.settled_together)})"
            for test in unclear[:UNCLEAR_SHOWN]
        ]
        more = len(unclear) - len(listed)
        return [*listed, f"{more} more in the table"] if more else listed

    @property
    def crossovers(self) -> Sequence[str]:
        """Which family is best at which size and for which training time, in words."""
        return growth.crossovers(self.contents.families)

    @property
    def without_matrix(self) -> Sequence[str]:
        """The labels of those that are, and whose predictions are not at hand."""
        return [section.row.label for section in self.sections if section.confusion is None]


def make_page(folder: RunFolder, contents: Contents, cache: Path) -> Page:
    """Draw the figures and choose what the pages show."""
    info = contents.info
    errors = _gallery(folder, contents)
    small = pictures(folder, info, errors, cache) if errors is not None else None
    drawn = _figures(contents)
    stems: set[str] = set()
    sections = [
        _section(row, file_stem(row.label, stems), contents, errors, small, drawn)
        for row in contents.detailed
    ]
    failures = _failures(folder, info, contents.rows)
    hardest = hardest_kinds(folder, contents, drawn, cache)
    return Page(
        contents=contents,
        title=title(info),
        notice=notice(info),
        images=images_of(info),
        status_counts=status_counts(contents.rows),
        findings=[
            (CHECKS[code], list(findings))
            for code, findings in itertools.groupby(joined(contents.findings), lambda finding: finding.code)
        ],
        findings_shown=FINDINGS_SHOWN,
        sections=sections,
        failures=failures[:DETAILED_FAILURES],
        unlisted_failures=max(len(failures) - DETAILED_FAILURES, 0),
        figures=drawn,
        resume=command("run", "--resume", info.name, results=_results(info)),
        repeat=command("repeat", info.name, results=_results(info)),
        report=command("report", info.name, results=_results(info)),
        verify=command("verify", info.name, results=_results(info)),
        started=command(*info.command),
        gallery=errors,
        pictures=small,
        hardest_kinds=hardest,
    )


def _gallery(folder: RunFolder, contents: Contents) -> Gallery | None:
    if contents.truth is None:
        return None
    # Only MNIST's test images have a list of label errors, and so a score without them.
    is_mnist_test = bool(contents.frames["quality"]["accuracy_without_label_errors"].notna().any())
    hard = contents.by_group.hardest if contents.by_group is not None else ()
    return gallery(
        folder,
        contents.detailed,
        contents.truth,
        contents.info.dataset.classes,
        of_hard_groups=tuple(image for each in hard for image in each.images),
        is_mnist_test=is_mnist_test,
    )


def _section(
    row: Configuration,
    stem: str,
    contents: Contents,
    errors: Gallery | None,
    small: Pictures | None,
    drawn: dict[str, bytes],
) -> ModelSection:
    """Describe one configuration, and draw its figures."""

    def keep(kind: str, svg: bytes) -> str:
        drawn[f"{kind}-{stem}"] = svg
        return f"{kind}-{stem}"

    found, dataset = contents.found.get(row.label), contents.info.dataset
    bins = found.reliability if found is not None else None
    error = tables.scores(row)["calibration_error"]
    sheet = (
        _contact_sheet(errors, small, row.label, dataset)
        if errors is not None and small is not None
        else None
    )
    return ModelSection(
        row=row,
        summary=next((model.summary for model in contents.info.models if model.name == row.model), ""),
        confusion=keep(
            "confusion",
            figures.confusion(found.confusion, list(map(dataset.class_name, dataset.classes)), row.label),
        )
        if found
        else None,
        reliability=keep("reliability", figures.reliability(bins, error, row.label))
        if bins is not None and error is not None
        else None,
        mistakes=keep("mistakes", sheet) if sheet is not None else None,
        pairs=quality.most_confused(
            row.label, len(row.by_seed), contents.frames["confused_pairs"], dataset.class_name
        ),
    )


def _contact_sheet(errors: Gallery, small: Pictures, label: str, dataset: DatasetInfo) -> bytes | None:
    """Draw the most confident mistakes of one configuration; None without pictures of them."""
    place = {image: where for where, image in enumerate(small.index)}
    mistakes = [mistake for mistake in errors.surest(label) if mistake.image in place]
    if not mistakes:
        return None
    return figures.contact_sheet(
        [small.pixels[place[mistake.image]] for mistake in mistakes],
        [_caption(mistake, errors, dataset) for mistake in mistakes],
        is_dark=small.is_dark,
        label=label,
    )


def _caption(mistake: Mistake, errors: Gallery, dataset: DatasetInfo) -> tuple[str, str]:
    confidence = [] if mistake.confidence is None else [f"{100 * mistake.confidence:.0f} %"]
    error = ["label error"] if mistake.image in errors.label_errors else []
    true, predicted = map(dataset.class_name, (mistake.true_label, mistake.predicted_label))
    return f"{true} as {predicted}", ", ".join(confidence + error)


def _figures(contents: Contents) -> dict[str, bytes]:
    """Draw the figures of all configurations, SVG by name."""
    drawn = figures.timings(contents.detailed)
    for noun, cost in (("fit", "training time"), ("predict", "prediction time")):
        if points := figures.points(contents.rows, f"{noun}_seconds"):
            drawn[f"accuracy-{noun}"] = figures.accuracy_against_time(points, contents.evaluated, cost)
    if contents.tests:
        drawn["significance"] = figures.significance(contents.compared, contents.tests, contents.evaluated)
    if contents.learned and not contents.families:
        drawn["learning-curves"] = figures.learning_curves(
            curves.lines(contents.learned), curves.most_images(contents.learned)
        )
    drawn |= growth_figures(contents.families, contents.evaluated)
    if contents.robustness is not None:
        drawn |= robustness_figures(contents.robustness)
    return drawn


def _failures(folder: RunFolder, info: RunInfo, rows: Sequence[Configuration]) -> list[FailureSection]:
    """Describe the failures, once for all trials of a configuration that failed alike."""
    alike: dict[tuple[str, Status, Failure | None], list[Record]] = {}
    for row in rows:
        for record in row.records:
            if record.status is not Status.OK:
                alike.setdefault((row.label, record.status, record.failure), []).append(record)
    found = []
    for (label, status, failure), records in alike.items():
        log = folder.log(records[0].trial.id)
        traceback = failure.traceback.strip() if failure else ""
        found.append(
            FailureSection(
                label=label,
                status=STATUS_NAMES[status],
                cause=str(failure) if failure else "The cause is unknown.",
                alike=f" ({plural(len(records), 'trial')} alike)" if len(records) > 1 else "",
                log=_tail(log),
                traceback="" if traceback in log else _tail(traceback),
                commands="\n".join(
                    command("run", "--trial", f"{info.name}/{record.trial.id}", results=_results(info))
                    for record in records
                ),
            )
        )
    return found


def _results(info: RunInfo) -> Path:
    """Return the folder of the runs in which this one was made, as it was typed."""
    typed = list(info.command)
    for place, word in enumerate(typed):
        if word == "--results" and place + 1 < len(typed):
            return Path(typed[place + 1])
        if word.startswith("--results="):
            return Path(word.partition("=")[2])
    return RESULTS


def _tail(log: str) -> str:
    lines = log.rstrip().split("\n")
    kept = [
        line if len(line) <= _LINE_LENGTH else line[:_LINE_LENGTH] + " ..." for line in lines[-_LOG_LINES:]
    ]
    if len(lines) > _LOG_LINES:
        kept.insert(0, f"... ({plural(len(lines) - _LOG_LINES, 'line')} above)")
    return "\n".join(kept)
