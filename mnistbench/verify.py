"""Recomputes what a run folder claims, from its stored predictions, its raw timings and the data set.

Nothing is trusted that can be recomputed: the trials' ids, the digests and every score of the
predictions, the true labels, and the whole report, which must come out byte for byte.
"""

import itertools
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mnistbench.analysis.ensemble import FILE as ENSEMBLE_FILE
from mnistbench.analysis.ensemble import choose_ensemble, stored_ensemble
from mnistbench.datasets import Arrays
from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.cache import cache_folder, cached_arrays
from mnistbench.datasets.corruptions import conditions, corrupted, images_digest
from mnistbench.datasets.named import NAMED
from mnistbench.datasets.splits import (
    EvaluationGroups,
    evaluation_groups,
    evaluation_images,
    evaluation_labels,
)
from mnistbench.errors import DataError, MnistbenchError
from mnistbench.machine import Environment, environment
from mnistbench.plan.models import builtin_folder, read_model_file
from mnistbench.report import stored_formats, write_report
from mnistbench.report.exports import same_parquet
from mnistbench.report.pictures import altered_pictures
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.json import from_json, to_json
from mnistbench.runs.predictions import predictions_digest
from mnistbench.runs.records import Record, RunInfo, Status
from mnistbench.runs.sessions import own_seconds
from mnistbench.stats.scores import Quality, quality
from mnistbench.text import command, plural

_SOURCES = (
    "run.json", "records.jsonl", "sessions.jsonl", "labels.npz", "images.npz", "copies.npz",
    "ensemble.json", "predictions", "logs",
)  # fmt: skip
_GENERATED = ("figures", "tables", "exports")
# numpy's logarithm may differ in its last bit between processors; an edit of a score is larger than this.
_SCORE_TOLERANCE = 1e-12
_CLOCK_TOLERANCE_SECONDS = 0.05
_WEIGHT_TOLERANCE = 1e-6
_EXCERPT_LENGTH = 80


@dataclass(frozen=True)
class Verification:
    """What came of verifying one run."""

    run: str  # the run's name
    trial_count: int  # records that were looked at
    prediction_count: int  # trials whose predictions were scored again
    file_count: int  # files of the report that were made again
    differences: tuple[str, ...]  # where the folder is not what its raw values give; empty if all is well
    unchecked: tuple[str, ...]  # what could not be compared, as the data set is not in the cache
    notes: tuple[str, ...]  # what is incomplete, or has changed without harm


def verify(folder: RunFolder, *, cache: Path, results: Path | None = None) -> Verification:
    """Verify one run against the cached data sets, and `report.md` in `results` if it is the newest there."""
    try:
        info, records = folder.info(), folder.records()
    except MnistbenchError as error:
        return Verification(folder.name, 0, 0, 0, (str(error),), (), ())
    arrays = cached_arrays(cache, info.dataset)
    truth, lacking = _true_labels(folder, info, arrays)
    notes: list[str] = []
    made, stale = _report(folder, results)
    differences = [
        *_plan(folder, info),
        *_lines(folder, info, records),
        *_sessions(folder, records),
        *lacking,
        *itertools.chain.from_iterable(_record(folder, info, record, truth) for record in records),
        *_copies(info, records, arrays, notes),
        *_votes(folder, notes),
        *_strays(folder, info, records),
        *_pictures(folder, info, cache),
        *stale,
    ]
    waiting = len(info.trials) - len(records)
    if waiting > 0:
        notes.append(f"the run is incomplete: {waiting} of {len(info.trials)} trials have no record")
    return Verification(
        run=folder.name,
        trial_count=len(records),
        prediction_count=sum(record.status is Status.OK for record in records) if truth is not None else 0,
        file_count=made,
        differences=tuple(differences),
        unchecked=() if arrays is not None else (_without(info, cache),),
        notes=(*notes, *_changed_models(info)),
    )


def _plan(folder: RunFolder, info: RunInfo) -> Iterator[str]:
    """Compare run.json with itself after it was read: the trials' ids are computed anew."""
    stored = json.loads((folder.path / "run.json").read_bytes())
    yield from _differing("run.json", stored, _plain(info))
    if len({trial.id for trial in info.trials}) != len(info.trials):
        yield "run.json lists a trial twice"
    if len({(trial.split, trial.holdout) for trial in info.trials}) > 1:
        yield "run.json mixes trials that are evaluated on different images"
    for trial in info.trials:
        if trial.dataset_sha256 != info.dataset.sha256:
            yield f"run.json: trial {trial.id} is of another data set than the run"


def _lines(folder: RunFolder, info: RunInfo, records: Sequence[Record]) -> Iterator[str]:
    """Compare each line of records.jsonl with itself after it was read, and with the plan."""
    path = folder.path / "records.jsonl"
    if not path.exists():
        if records or info.trials:
            yield "records.jsonl is missing"
        return
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        yield "records.jsonl ends in a line that was never finished"
    if len(lines) != len(records):
        yield f"records.jsonl has {len(lines)} lines for {len(records)} trials"
    planned = {trial.id: trial for trial in info.trials}
    for number, line in enumerate(lines, start=1):
        stored = json.loads(line)
        yield from _differing(f"records.jsonl, line {number}", stored, _plain(from_json(Record, stored)))
    for record in records:
        if planned.get(record.trial.id) != record.trial:
            yield f"records.jsonl: trial {record.trial.id} ({record.trial.model}) is not in the plan"


def _sessions(folder: RunFolder, records: Sequence[Record]) -> Iterator[str]:
    """Compare sessions.jsonl with the records; a run that was killed has trials without a session."""
    sessions = folder.sessions()
    path = folder.path / "sessions.jsonl"
    lines = len(path.read_bytes().splitlines()) if path.exists() else 0
    if lines != len(sessions):
        yield f"sessions.jsonl has {lines} lines, of which {len(sessions)} can be read"
    seconds = {record.trial.id: record.trial_seconds for record in records}
    for number, session in enumerate(sessions, start=1):
        unknown = [trial_id for trial_id in session.trial_ids if trial_id not in seconds]
        if unknown:
            yield f"sessions.jsonl, session {number}, names the trial {unknown[0]}, which has no record"
        later = {trial_id for other in sessions[number:] for trial_id in other.trial_ids}  # run again there
        spent = sum(seconds.get(trial_id, 0.0) for trial_id in session.trial_ids if trial_id not in later)
        if spent > session.wall_seconds * session.side_by_side + _CLOCK_TOLERANCE_SECONDS * len(seconds):
            yield (
                f"sessions.jsonl, session {number}: its trials took {spent:.1f} s, more than the "
                f"{session.wall_seconds:.1f} s of the session"
            )


def _true_labels(folder: RunFolder, info: RunInfo, arrays: Arrays | None) -> tuple[Labels | None, list[str]]:
    """Return the stored labels, and what is wrong with them."""
    try:
        stored = folder.true_labels()
    except MnistbenchError as error:
        return None, [str(error)]
    if stored is None:
        return None, ["labels.npz is missing, so no score can be computed again"]
    expected = info.holdout_count if info.is_validation else info.dataset.test_count
    if len(stored) != expected:
        return stored, [f"labels.npz has {len(stored)} labels; the data set has {expected}"]
    if arrays is None:
        return stored, []
    wrong = int((np.asarray(evaluation_labels(arrays, info.split, info.holdout)) != stored).sum())
    problems = [f"labels.npz differs from {info.dataset.title} in {plural(wrong, 'label')}"] if wrong else []
    return stored, [*problems, *_groups(folder, info, arrays)]


def _groups(folder: RunFolder, info: RunInfo, arrays: Arrays) -> Iterator[str]:
    """Compare the stored groups of the evaluation images with the data set's."""
    try:
        stored = folder.groups()
    except MnistbenchError as error:
        yield str(error)
        return
    if (stored is None) != (info.dataset.groups_sha256 is None):
        yield f"labels.npz has {'no ' if stored is None else ''}groups, unlike run.json"
    elif stored is not None:
        expected = evaluation_groups(arrays, info.split, info.holdout)
        for field in fields(EvaluationGroups):
            wrong = int((getattr(stored, field.name) != getattr(expected, field.name)).sum())
            if wrong:
                where = f"{field.name} of {plural(wrong, 'image')}"
                yield f"labels.npz differs from {info.dataset.title} in the {where}"


def _without(info: RunInfo, cache: Path) -> str:
    name, elsewhere = info.dataset.name, None if cache == cache_folder() else cache
    groups = f" with the {info.dataset.group_noun} of each image" if info.dataset.groups_sha256 else ""
    remedy = (
        f"`{command('fetch', name, cache=elsewhere)}` fetches it" if name in NAMED else "start a run on it"
    )
    return (
        f"{info.dataset.title}{groups} is not in the cache {cache}: labels and images could not be compared "
        f"with it; {remedy}"
    )


def _pictures(folder: RunFolder, info: RunInfo, cache: Path) -> Iterator[str]:
    """Compare the images kept for the error gallery with the data set's."""
    try:
        altered = altered_pictures(folder, info, cache)
    except MnistbenchError:
        return  # the report cannot be made with them, as `_report` says
    if altered:
        yield f"images.npz differs from {info.dataset.title} in {plural(altered, 'image')}"


def _record(folder: RunFolder, info: RunInfo, record: Record, truth: Labels | None) -> Iterator[str]:
    who = f"trial {record.trial.id} ({record.trial.model})"
    if not (folder.path / "logs" / f"{record.trial.id}.log").is_file():
        yield f"{who}: logs/{record.trial.id}.log is missing"
    ok = record.status is Status.OK
    if (record.failure is None) is not ok:
        yield f"{who}: its status is {record.status.value}, which does not fit its failure"
    for name in ("measurement", "quality", "predictions_sha256"):
        if ok and getattr(record, name) is None:
            yield f"{who}: its status is ok, but it has no {name}"
        if not ok and getattr(record, name) is not None:
            yield f"{who}: its status is {record.status.value}, but it has a {name}"
    yield from (f"{who}: {problem}" for problem in _timings(info, record))
    if not ok:
        return
    try:
        predictions = folder.predictions(record.trial.id)
    except FileNotFoundError:
        yield f"{who}: predictions/{record.trial.id}.npz is missing"
        return
    except (OSError, ValueError) as error:
        yield f"{who}: predictions/{record.trial.id}.npz cannot be read: {error}"
        return
    digest = predictions_digest(predictions)
    if digest != record.predictions_sha256:
        yield (
            f"{who}: the SHA-256 of its predictions is {digest[:12]}..., "
            f"its record says {str(record.predictions_sha256)[:12]}..."
        )
    hashes = record.measurement.copies_sha256 if record.measurement is not None else None
    if set(hashes or ()) != set(predictions.on_copies):
        yield f"{who}: its predictions for corrupted copies are not those of its record's copies_sha256"
    if truth is None or record.quality is None:
        return
    try:
        scores = quality(truth, predictions.labels, predictions.probabilities, info.dataset.classes)
    except DataError as error:
        yield f"{who}: its predictions cannot be scored: {error}"
        return
    yield from (f"{who}: {problem}" for problem in _scores(record.quality, scores))


def _copies(
    info: RunInfo, records: Sequence[Record], arrays: Arrays | None, notes: list[str]
) -> Iterator[str]:
    """Compare the corrupted copies that the trials predicted with each other, and make them again.

    Another processor, NumPy or SciPy may round a pixel differently, so copies that differ there are a note.
    """
    first: dict[str, tuple[str, Record]] = {}
    for record in records:
        hashes = (record.measurement.copies_sha256 if record.measurement is not None else None) or {}
        for name, sha256 in hashes.items():
            if first.setdefault(name, (sha256, record))[0] != sha256:
                yield (
                    f"trial {record.trial.id} ({record.trial.model}): its copies {name} are not those of the "
                    "other trials"
                )
    if arrays is None or not first:
        return
    images = evaluation_images(arrays, info.split, info.holdout)
    rounded: list[str] = []
    for condition in conditions():
        if condition.name not in first:
            continue
        sha256, record = first[condition.name]
        if images_digest(corrupted(images, condition)) == sha256:
            continue
        if _rounds_alike(record.environment, environment()):
            yield f"the copies {condition.name}, made again, are not those that the trials predicted"
        else:
            rounded.append(condition.name)
    if rounded:
        notes.append(
            "made again with this processor, NumPy and SciPy, which are not the run's, some copies differ: "
            + ", ".join(rounded)
        )


def _rounds_alike(one: Environment, other: Environment) -> bool:
    return one.cpu == other.cpu and all(
        one.libraries.get(name) == other.libraries.get(name) for name in ("numpy", "scipy")
    )


def _scores(stored: Quality, computed: Quality) -> Iterator[str]:
    for field in fields(Quality):
        recorded, computed_score = getattr(stored, field.name), getattr(computed, field.name)
        same = recorded == computed_score
        if isinstance(recorded, float) and isinstance(computed_score, float):
            same = math.isclose(recorded, computed_score, rel_tol=_SCORE_TOLERANCE, abs_tol=_SCORE_TOLERANCE)
        if not same:
            yield f"its record gives {field.name} {recorded}, its predictions give {computed_score}"


def _timings(info: RunInfo, record: Record) -> Iterator[str]:
    """Check the raw values that say the same thing twice."""
    measured, trial = record.measurement, record.trial
    if measured is None:
        return
    available = info.dataset.train_count
    if trial.split == "validation":
        available -= info.holdout_count
    if measured.train_images != (trial.train_size or available):
        yield f"it saw {measured.train_images} training images; {trial.train_size or available} were planned"
    if record.quality is not None and measured.test_images != record.quality.test_count:
        yield f"{measured.test_images} images were predicted and {record.quality.test_count} scored"
    if own_seconds(record) > record.trial_seconds + _CLOCK_TOLERANCE_SECONDS:
        yield (
            f"its parts took {own_seconds(record):.2f} s, more than the {record.trial_seconds:.2f} s "
            "of the whole trial"
        )
    timed = measured.fit_seconds + measured.first_predict_seconds + measured.predict_seconds
    if measured.load is not None and timed > measured.load.wall_seconds + _CLOCK_TOLERANCE_SECONDS:
        yield (
            f"fit and predict took {timed:.2f} s, but its load was observed for "
            f"{measured.load.wall_seconds:.2f} s"
        )


def _strays(folder: RunFolder, info: RunInfo, records: Sequence[Record]) -> Iterator[str]:
    """Name predictions that belong to no successful trial; a killed run may leave those of its last one."""
    known = {record.trial.id for record in records if record.status is Status.OK}
    known |= {trial.id for trial in info.trials} - {record.trial.id for record in records}
    for path in sorted((folder.path / "predictions").glob("*.npz")):
        if path.stem not in known:
            yield f"predictions/{path.name} does not belong to a successful trial"


def _votes(folder: RunFolder, notes: list[str]) -> Iterator[str]:
    """Choose an ensemble's weights again, if the validation run lies beside this one."""
    try:
        ensemble = stored_ensemble(folder)
        if ensemble is None:
            return
        beside = folder.path.resolve().parent
        validations = [RunFolder(beside / name) for name in ensemble.validation_runs]
        if gone := [run.name for run in validations if not (run.path / "run.json").is_file()]:
            notes.append(
                f"the validation run {gone[0]} is not here, so the "
                "ensemble's weights could not be chosen again"
            )
            return
        again = choose_ensemble(folder, validations)
    except MnistbenchError as error:
        yield str(error)
        return
    if not math.isclose(ensemble.sharpness, again.sharpness, abs_tol=_WEIGHT_TOLERANCE):
        given = f"the predictions give {again.sharpness}"
        yield f"{ENSEMBLE_FILE}: the sharpness is {ensemble.sharpness}; {given}"
    for member, found in itertools.zip_longest(ensemble.members, again.members):
        if (
            member is None
            or found is None
            or member.model != found.model
            or not math.isclose(member.weight, found.weight, abs_tol=_WEIGHT_TOLERANCE)
        ):
            yield f"{ENSEMBLE_FILE}: the votes are {member}; the predictions give {found}"


def _changed_models(info: RunInfo) -> Iterator[str]:
    for model in info.models:
        path = Path(model.path) if model.path is not None else builtin_folder() / f"{model.name}.py"
        if not path.is_file():
            yield f"the model file {path.name} no longer exists"
        elif read_model_file(path).sha256 != model.sha256:
            yield f"the model file {path.name} has changed since this run"


def _report(folder: RunFolder, results: Path | None) -> tuple[int, list[str]]:
    """Make the report again from a copy of the raw files; return how many files it has and what differs."""
    with tempfile.TemporaryDirectory(prefix="mnistbench-verify-") as place:
        again = RunFolder(Path(place) / folder.name)
        again.path.mkdir()
        for name in _SOURCES:
            source = folder.path / name
            if source.is_dir():
                shutil.copytree(source, again.path / name)
            elif source.exists():
                shutil.copy(source, again.path / name)
        try:
            write_report(again, again.path.parent, stored_formats(folder))
        except MnistbenchError as error:
            return 0, [f"the report cannot be rebuilt: {error}"]
        made = _files(again.path)
        differences = [
            *_compared(made, folder.path),
            *(
                f"{path.relative_to(folder.path).as_posix()} does not belong to this run's report"
                for kind in _GENERATED
                for path in sorted((folder.path / kind).glob("*"))
                if path.relative_to(folder.path).as_posix() not in made
            ),
        ]
        if results is not None and folder.is_newest_of(results) and (results / "report.md").exists():
            shared = {path.name: path.read_bytes() for path in again.path.parent.iterdir() if path.is_file()}
            differences += (f"{results.name}/{line}" for line in _compared(shared, results))
        return len(made), differences


def _files(folder: Path) -> dict[str, bytes]:
    """Read the files that the report added to a run folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in (*_SOURCES, ".lock")
    }


def _compared(made: Mapping[str, bytes], place: Path) -> Iterator[str]:
    for name, content in made.items():
        try:
            stored = (place / name).read_bytes()
        except FileNotFoundError:
            yield f"{name} is missing"
            continue
        except OSError as error:
            yield f"{name} cannot be read: {error.strerror}"
            continue
        if stored != content and not (name.endswith(".parquet") and same_parquet(stored, content)):
            yield f"{name}, {_where(stored, content)}"


def _where(stored: bytes, made: bytes) -> str:
    """Return in which line two texts differ first, and how."""
    lines = itertools.zip_longest(
        stored.decode(errors="replace").split("\n"), made.decode(errors="replace").split("\n")
    )
    for number, (is_, should_be) in enumerate(lines, start=1):
        if is_ != should_be:
            return f"line {number}, is {_excerpt(is_, should_be)} and should be {_excerpt(should_be, is_)}"
    return "has other bytes"


def _excerpt(line: str | None, other: str | None) -> str:
    """Return the part of a line where it begins to differ from the other."""
    if line is None:
        return "missing"
    shorter = min(len(line), len(other or ""))
    first = next((i for i in range(shorter) if line[i] != (other or "")[i]), shorter)
    start = max(0, first - 20)
    part = line[start : start + _EXCERPT_LENGTH]
    return repr(("..." if start else "") + part + ("..." if start + _EXCERPT_LENGTH < len(line) else ""))


def _differing(place: str, stored: Any, computed: Any) -> Iterator[str]:
    """Name each value of plain JSON that differs; what only one side has comes from another version."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        for key in (key for key in stored if key in computed):
            yield from _differing(
                f"{place}.{key}" if ":" in place else f"{place}: {key}", stored[key], computed[key]
            )
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for index, (one, other) in enumerate(zip(stored, computed, strict=True)):
            yield from _differing(f"{place}[{index}]", one, other)
    elif stored != computed:
        yield f"{place} is {stored!r:.80} and should be {computed!r:.80}"


def _plain(value: object) -> Any:
    return json.loads(json.dumps(to_json(value)))
