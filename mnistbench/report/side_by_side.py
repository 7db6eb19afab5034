"""One report of several runs: their machines, versions and data sets, and what each model did in each.

Results stand side by side only where the same images evaluated them, and times of different machines only in
calibration units.
"""

import base64
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from mnistbench.analysis.across import Across, across
from mnistbench.analysis.contents import Contents, read_contents
from mnistbench.analysis.correctness import pairs_frame
from mnistbench.analysis.headline import exact_test, images_of, title
from mnistbench.analysis.tables import Column, Table, graded_time, text, tie_names, verdict_column
from mnistbench.errors import DataError, MnistbenchError, UsageError
from mnistbench.report.figures import critical_difference
from mnistbench.report.html import environment, package_text
from mnistbench.report.markdown import captioned, image, render
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo
from mnistbench.runs.sessions import median_unit
from mnistbench.stats.pairs import PairedTest, paired_test
from mnistbench.stats.verdicts import judged
from mnistbench.text import MISSING, command, interval, percent, points

_TIMES = ("fit", "predict")


@dataclass(frozen=True)
class ListedRun:
    """One of the runs; its letter is what the tables call it, "A" the first that was named."""

    letter: str
    folder: RunFolder
    contents: Contents


@dataclass(frozen=True)
class Group:
    """Runs that are evaluated on the same images."""

    title: str
    held_out: str  # which training images these are, in words; nothing for test images
    headlines: Mapping[str, str]  # the result of each run, by its letter
    accuracy: Table
    changes: Table | None  # of each model's accuracy against the first run; None if nothing is shared
    times: Table
    exact_test: str  # the test of single fits
    time_note: str  # the unit of the times, and why


def write(folders: Sequence[RunFolder], output: Path) -> Path:
    """Write the report of several runs; see `mnistbench.report.write_side_by_side`."""
    if len({folder.path.resolve() for folder in folders}) < len(folders):
        raise UsageError("the same run is named twice; name each run once.")
    if (output / "run.json").exists():
        raise UsageError(
            f"{output} is a run's folder; choose another --output for the report of several runs."
        )
    letters = tie_names(len(folders))
    runs = [
        ListedRun(letter.upper(), folder, read_contents(folder))
        for letter, folder in zip(letters, folders, strict=True)
    ]
    found = _across(runs)
    ranks = critical_difference(found.ranks) if found and found.ranks else b""
    values = {
        "runs": runs,
        "names": ", ".join(run.contents.info.name for run in runs),
        "described": described(runs),
        "groups": groups(runs),
        "across": found,
        "ranks": base64.b64encode(ranks).decode(),
        "compare": command("compare", *(str(run.folder.path) for run in runs[:2])),
        "margin": points(runs[0].contents.info.margin),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        place = RunFolder(output)
        if ranks:
            place.write("ranks.svg", ranks)
        functions: dict[str, Callable[..., object]] = {"captioned": captioned, "image": image}
        place.write("report.md", render("side_by_side.md.jinja", values, functions).encode())
        place.write("report.html", _html(values))
    except OSError as error:
        raise MnistbenchError(
            f"cannot write the report into {output}: {error.strerror or error}. Choose another --output."
        ) from error
    return output / "report.md"


def described(runs: Sequence[ListedRun]) -> Table:
    """Tabulate what each run is and ran on; of libraries those alone that differ."""
    described = [dict(_description(run)) for run in runs]
    libraries = [run.contents.environments[0].libraries for run in runs]
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


def _description(run: ListedRun) -> Iterable[tuple[str, str | None]]:
    info, env = run.contents.info, run.contents.environments[0]
    hosts = {record.environment.host for record in run.contents.records}
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


def _unit(run: ListedRun) -> float | None:
    return median_unit(run.contents.sessions, run.contents.records)


def groups(runs: Sequence[ListedRun]) -> list[Group]:
    """Put together the runs that are evaluated on the same images, in the order in which they were named."""
    alike: dict[tuple[str, str], list[ListedRun]] = {}
    for run in runs:
        key = run.contents.info.dataset.sha256, _held_out(run.contents.info)
        alike.setdefault(key, []).append(run)
    return [_group(group) for group in alike.values()]


def _across(runs: Sequence[ListedRun]) -> Across | None:
    """Put together what was run on the test images of several data sets, the first run of each; else None."""
    first: dict[str, ListedRun] = {}
    for run in runs:
        info = run.contents.info
        if not info.is_validation and info.dataset.sha256 not in {
            each.contents.info.dataset.sha256 for each in first.values()
        }:
            first.setdefault(info.dataset.name, run)
    if len(first) < 2:
        return None
    machines = set().union(*map(_machines, first.values()))
    contents = {name: run.contents for name, run in first.items()}
    return across(contents, is_one_machine=len(machines) == 1)


def _held_out(info: RunInfo) -> str:
    return info.held_out if info.is_validation else ""


def _group(runs: Sequence[ListedRun]) -> Group:
    info = runs[0].contents.info
    bare = len(set().union(*map(_machines, runs))) == 1
    divisors, unit = ([1.0] * len(runs), "s") if bare else ([_unit(run) for run in runs], "units")
    return Group(
        title=title(info) if info.is_validation else f"{title(info)}: {images_of(info)}",
        held_out=_held_out(info),
        headlines={run.letter: run.contents.headline for run in runs},
        accuracy=_accuracies(runs),
        changes=_changes(runs) if len(runs) > 1 else None,
        times=_times(runs, divisors, unit),
        exact_test=exact_test(*(run.contents.info for run in runs)),
        time_note="Medians over seeds and repeats. The letter after a time is its trust grade, from A to D; "
        "each run's own report gives the reasons."
        if bare
        else "The runs were made on different machines, so times are in calibration units: the time that a "
        "small fixed set of computations takes there. Where it was not measured, no time is shown. The "
        "letter after a time is its trust grade, from A to D.",
    )


def _machines(run: ListedRun) -> set[tuple[object, ...]]:
    return {environment.machine for environment in run.contents.environments}


def _results(runs: Sequence[ListedRun], names: Sequence[str]) -> pd.DataFrame:
    """Put columns of the runs' results side by side: row, then "A accuracy" and so on."""
    frames = [
        run.contents.frames["results"].set_index("row")[list(names)].add_prefix(f"{run.letter} ")
        for run in runs
    ]
    return pd.concat(frames, axis=1).rename_axis("row").reset_index()


def _accuracies(runs: Sequence[ListedRun]) -> Table:
    first, *beside = ("accuracy", "sampling_low", "sampling_high", "seeds", "test_images", "status")
    columns = (
        Column("row", "model", text, right=False),
        *(
            Column(
                f"{run.letter} {first}",
                f"{run.letter}, % (95 %: images)",
                _accuracy_cell,
                beside=tuple(f"{run.letter} {name}" for name in beside),
            )
            for run in runs
        ),
    )
    return Table("accuracy", "Accuracy, mean over the seeds", _results(runs, (first, *beside)), columns)


def _accuracy_cell(mean: float, low: float, high: float, seeds: float, images: float, status: object) -> str:
    if not isinstance(status, str):  # the run has no such row
        return MISSING
    if not seeds:
        return status
    several = f", {seeds:.0f} seeds" if seeds > 1 else ""
    return f"{percent(mean, int(images))} ({interval(low, high, int(images))}{several})"


def _changes(runs: Sequence[ListedRun]) -> Table | None:
    """Test each model's predictions in a later run against those in the first that has them."""
    ids = next((run.contents.groups.ids for run in runs if run.contents.groups is not None), None)
    labels: list[str] = []
    tests: list[PairedTest] = []
    for label in dict.fromkeys(label for run in runs for label in run.contents.found):
        having = [(run.letter, run.contents.found[label]) for run in runs if label in run.contents.found]
        (first, a), *others = having
        for later, b in others:
            try:
                tests.append(paired_test(later, b.correct, first, a.correct, ids))
            except DataError:  # of other images
                continue
            labels.append(label)
    if not tests:
        return None
    frame = pairs_frame(judged(tests, runs[0].contents.info.margin)).assign(row=labels)
    frame["runs"] = frame["row_a"] + " against " + frame["row_b"]
    columns = (
        Column("row", "model", text, right=False),
        Column("runs", "runs", text, right=False),
        Column("difference", "accuracy, points", _points),
        Column(
            "difference_low",
            "95 % interval",
            lambda low, high: f"{_points(low)} to {_points(high)}",
            beside=("difference_high",),
        ),
        Column("adjusted_p_value", "p (Holm)", "{:.2g}".format),
        verdict_column(),
    )
    return Table("changes", "The same model in two runs, on the same images", frame, columns)


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


def _times(runs: Sequence[ListedRun], divisors: Sequence[float | None], unit: str) -> Table:
    frame = _results(runs, [f"{word}_{what}" for word in _TIMES for what in ("seconds", "trust")])
    for run, divisor in zip(runs, divisors, strict=True):
        for word in _TIMES:
            seconds, trust = f"{run.letter} {word}_seconds", f"{run.letter} {word}_trust"
            frame[seconds] = pd.to_numeric(frame[seconds]) / (divisor or float("nan"))
            if not divisor:  # bare seconds of another machine are never shown
                frame[trust] = None
    columns = (
        Column("row", "model", text, right=False),
        *(
            Column(
                f"{run.letter} {word}_seconds",
                f"{run.letter}: {word}, {unit}",
                graded_time,
                beside=(f"{run.letter} {word}_trust",),
            )
            for run in runs
            for word in _TIMES
        ),
    )
    return Table("times", "Time of training and of predicting", frame, columns)


def _html(values: Mapping[str, object]) -> bytes:
    style = Markup(package_text("report.css"))  # noqa: S704 - of this package
    return environment().get_template("side_by_side.html.jinja").render({**values, "css": style}).encode()
