"""One report of several runs: their machines, versions and data sets, and what each model did in each.

Results are only put beside each other where they were judged by the same images, and times of different
machines only in calibration units.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.contents import Contents, contents
from mnistbench.analysis.evidence import Evidence
from mnistbench.analysis.headline import images_of, title
from mnistbench.analysis.tables import Column, Table, estimate, median, text, tie_names
from mnistbench.errors import DataError, MnistbenchError, UsageError
from mnistbench.machine import Environment
from mnistbench.report.markdown import Markdown, render
from mnistbench.report.markdown import table as rendered
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo
from mnistbench.runs.sessions import unit_seconds
from mnistbench.stats.accuracy import SIGNIFICANCE, holm, paired_test
from mnistbench.text import MISSING, interval, percent, three_digits, visible

_TIMES = (("fit_seconds", "fit"), ("predict_seconds", "predict"))


@dataclass(frozen=True)
class SeenRun:
    """One of the runs.

    Attributes:
        letter: What it is called in the tables: "A" is the first that was named.
        folder: Where it is.
        said: What its own report says.
    """

    letter: str
    folder: RunFolder
    said: Contents


@dataclass(frozen=True)
class Group:
    """Runs that are judged by the same images.

    Attributes:
        title: The images.
        held_out: Which training images these are, in words; nothing for test images.
        headlines: The result of each run, by its letter.
        accuracy: What each model reached in each run.
        changes: How each model's accuracy differs from that in the first run; None where nothing is shared.
        times: What each model took in each run.
        time_note: In what, and why.
    """

    title: str
    held_out: str
    headlines: Mapping[str, str]
    accuracy: Table
    changes: Table | None
    times: Table
    time_note: str


def write(folders: Sequence[RunFolder], output: Path) -> Path:
    """Write the report of several runs; see `mnistbench.report.write_side_by_side`."""
    if len({folder.path.resolve() for folder in folders}) < len(folders):
        raise UsageError("the same run is named twice; name each run once.")
    if (output / "run.json").exists():
        raise UsageError(f"{output} is a run's folder; choose another --output for the report of several.")
    letters = tie_names(len(folders))
    runs = [
        SeenRun(letter.upper(), folder, contents(folder))
        for letter, folder in zip(letters, folders, strict=True)
    ]
    values = {
        "runs": runs,
        "names": ", ".join(run.said.info.name for run in runs),
        "described": described(runs),
        "groups": groups(runs),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        place = RunFolder(output)
        place.write("report.md", render("side_by_side.md.jinja", values, {"captioned": _captioned}).encode())
        place.write("report.html", _html(values))
    except OSError as error:
        raise MnistbenchError(
            f"cannot write the report into {output}: {error.strerror or error}. Choose another --output."
        ) from error
    return output / "report.md"


def described(runs: Sequence[SeenRun]) -> Table:
    """Tabulate what each run is and ran on; of libraries those alone that differ.

    Columns of the frame: what, and one for each run, named by its letter.
    """
    described = [dict(_description(run)) for run in runs]
    libraries = [_environment(run).libraries for run in runs]
    for name in sorted(set().union(*libraries)):
        if len({each.get(name) for each in libraries}) > 1:
            for one, each in zip(described, libraries, strict=True):
                one[name] = each.get(name)
    rows = [
        {"what": what, **{run.letter: one.get(what) for run, one in zip(runs, described, strict=True)}}
        for what in dict.fromkeys(itertools.chain.from_iterable(described))
    ]
    columns = (
        Column("what", "", text, right=False),
        *(Column(run.letter, run.letter, text, right=False) for run in runs),
    )
    return Table("runs", "The runs, and what they ran on", pd.DataFrame(rows), columns)


def _description(run: SeenRun) -> Iterable[tuple[str, str | None]]:
    info, env = run.said.info, _environment(run)
    hosts = {record.environment.host for record in run.said.records}
    yield "run", info.name
    yield "date", info.created_at[:10]
    yield "images", title(info)
    yield "machine", f"{env.host}{f' and {len(hosts) - 1} more' if len(hosts) > 1 else ''}"
    yield "processor", env.cpu
    yield "cores", f"{env.usable_cores} of {env.logical_cores}"
    yield "GPUs", ", ".join(env.gpus) or None
    yield "system", env.system
    yield "Python", env.python
    yield "commit", env.commit
    yield "trials side by side", str(info.jobs)
    unit = _unit(run)
    yield "calibration unit", f"{1000 * unit:.2f} ms" if unit else None


def _environment(run: SeenRun) -> Environment:
    return run.said.records[0].environment if run.said.records else run.said.info.environment


def _unit(run: SeenRun) -> float | None:
    sessions = run.folder.sessions()
    return median([unit_seconds(sessions, record.trial.id) for record in run.said.records])


def groups(runs: Sequence[SeenRun]) -> list[Group]:
    """Put together the runs that are judged by the same images, in the order in which they were named."""
    alike: dict[tuple[str, str], list[SeenRun]] = {}
    for run in runs:
        key = run.said.info.dataset.sha256, _held_out(run.said.info)
        alike.setdefault(key, []).append(run)
    return [_group(group) for group in alike.values()]


def _held_out(info: RunInfo) -> str:
    return info.held_out if info.is_validation else ""


def _group(runs: Sequence[SeenRun]) -> Group:
    info = runs[0].said.info
    rows = [{row.label: row for row in run.said.rows} for run in runs]
    labels = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    bare = len(set().union(*map(_machines, runs))) == 1
    times, in_what = ([1.0] * len(runs), "s") if bare else ([_unit(run) for run in runs], "units")
    return Group(
        title=title(info) if info.is_validation else f"{title(info)}: {images_of(info)}",
        held_out=_held_out(info),
        headlines={run.letter: run.said.headline for run in runs},
        accuracy=_accuracies(runs, rows, labels),
        changes=_changes(runs, labels) if len(runs) > 1 else None,
        times=_times(runs, rows, labels, times, in_what),
        time_note="Medians over seeds and repeats. The letter says how far to trust a time, from A to D; "
        "each run's own report says why."
        if bare
        else "The runs were made on different machines, so times are in calibration units: what a small "
        "fixed set of computations takes there. Where that was not measured, no time is shown. The letter "
        "says how far to trust a time, from A to D.",
    )


def _machines(run: SeenRun) -> set[tuple[object, ...]]:
    return {
        (env.host, env.cpu, env.usable_cores, env.logical_cores, env.gpus)
        for env in [record.environment for record in run.said.records] or [run.said.info.environment]
    }


def _accuracies(
    runs: Sequence[SeenRun], rows: Sequence[Mapping[str, Configuration]], labels: Sequence[str]
) -> Table:
    frame = pd.DataFrame(
        [
            {
                "row": label,
                **{
                    run.letter: _accuracy(each[label]) if label in each else MISSING
                    for run, each in zip(runs, rows, strict=True)
                },
            }
            for label in labels
        ]
    )
    columns = (
        Column("row", "model", text, right=False),
        *(Column(run.letter, f"{run.letter}, % (95 %: images)", text) for run in runs),
    )
    return Table("accuracy", "Accuracy, mean over the seeds", frame, columns)


def _accuracy(row: Configuration) -> str:
    found = estimate(row)
    if found is None:
        return row.status
    seeds = f", {found.fits} seeds" if found.fits > 1 else ""
    bounds = interval(found.sampling.low, found.sampling.high, row.test_count)
    return f"{percent(found.mean, row.test_count)} ({bounds}{seeds})"


def _changes(runs: Sequence[SeenRun], labels: Sequence[str]) -> Table | None:
    """Test each model's predictions in a later run against those in the first that has them."""
    pairs: list[tuple[str, str, str, Evidence, Evidence]] = []
    for label in labels:
        having = [(run.letter, run.said.found[label]) for run in runs if label in run.said.found]
        pairs += [(label, having[0][0], letter, having[0][1], each) for letter, each in having[1:]]
    tested = []
    for label, first, later, a, b in pairs:
        try:
            tested.append((label, first, later, paired_test(later, b.correct, first, a.correct)))
        except DataError:  # of other images
            continue
    if not tested:
        return None
    adjusted = holm([test.p_value for *_, test in tested])
    frame = pd.DataFrame(
        [
            {
                "row": label,
                "runs": f"{later} against {first}",
                "difference": f"{100 * test.difference:+.2f}",
                "interval": f"{100 * test.interval.low:+.2f} to {100 * test.interval.high:+.2f}",
                "p": f"{p:.2g}",
                "verdict": ("better" if test.difference > 0 else "worse")
                if p < SIGNIFICANCE
                else "no difference found",
            }
            for (label, first, later, test), p in zip(tested, adjusted.tolist(), strict=True)
        ]
    )
    columns = (
        Column("row", "model", text, right=False),
        Column("runs", "runs", text, right=False),
        Column("difference", "accuracy, points", text),
        Column("interval", "95 % interval", text),
        Column("p", "p (Holm)", text),
        Column("verdict", "verdict", text, right=False),
    )
    return Table("changes", "The same model in two runs, on the same images", frame, columns)


def _times(
    runs: Sequence[SeenRun],
    rows: Sequence[Mapping[str, Configuration]],
    labels: Sequence[str],
    divisors: Sequence[float | None],
    in_what: str,
) -> Table:
    described = []
    for label in labels:
        line: dict[str, object] = {"row": label}
        for run, each, divisor in zip(runs, rows, divisors, strict=True):
            measured = each[label].measurements if label in each else ()
            for name, word in _TIMES:
                seconds = median([getattr(m, name) for m in measured])
                shown = MISSING
                if seconds is not None and divisor:
                    shown = f"{three_digits(seconds / divisor)}\N{NO-BREAK SPACE}{_letter(run, label, word)}"
                line[f"{run.letter} {word}"] = shown
        described.append(line)
    columns = (
        Column("row", "model", text, right=False),
        *(
            Column(f"{run.letter} {word}", f"{run.letter}: {word}, {in_what}", text)
            for run in runs
            for _, word in _TIMES
        ),
    )
    return Table("times", "What training and predicting took", pd.DataFrame(described), columns)


def _letter(run: SeenRun, label: str, word: str) -> str:
    """Return how far a time can be trusted, A to D."""
    graded = run.said.frames["results"].set_index("row")[f"{word}_trust"]
    return str(graded[label])


def _captioned(shown: Table) -> Markdown:
    return Markdown(f"**{shown.caption}**\n\n{rendered(shown)}")


def _html(values: Mapping[str, object]) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mnistbench.report"),
        autoescape=True,
        finalize=lambda value: (
            visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (resources.files("mnistbench.report") / "templates" / "report.css").read_text(encoding="utf-8")
    page = environment.get_template("side_by_side.html.jinja").render(
        {**values, "css": Markup(style)}  # noqa: S704 - of this package
    )
    return page.encode()
