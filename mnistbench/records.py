"""The types that say what was planned and what happened, and the run folder that keeps them.

Everything a run yields is a plain file (JSON, JSON lines, npz, text): it survives a crash of the run,
diffs well, needs no server, and nothing in it is ever unpickled.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import itertools
import json
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from mnistbench.calibration import Calibration
from mnistbench.datasets import DatasetInfo
from mnistbench.environment import Environment
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.metrics import Quality
from mnistbench.registry import plain_value, unknown

if TYPE_CHECKING:
    import numpy as np

SCHEMA_VERSION = 1
ParameterValue = str | int | float | bool | None | tuple[Any, ...]
T = TypeVar("T")


class Status(StrEnum):
    """How a trial ended."""

    OK = "ok"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Trial:
    """One fit and evaluation, described so fully that it can be run again anywhere.

    Attributes:
        dataset: The data set's name.
        dataset_sha256: SHA-256 of the data set's decoded arrays.
        train_size: Training images used, drawn per seed and stratified by class; None for all.
        model: The model's name: the stem of its file.
        parameters: Every parameter of the model's `build`, defaults included.
        seed: The seed from which those of each axis are derived.
        threads: Threads, and cores, the trial may use.
        split: "test", or "validation" for the last part of the training images.
        repeat: 0 for the first measurement of this trial, 1 for its first repetition, and so on.
    """

    dataset: str
    dataset_sha256: str
    train_size: int | None
    model: str
    parameters: Mapping[str, ParameterValue]
    seed: int
    threads: int
    split: str = "test"
    repeat: int = 0
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the id: the same trial has the same id on every machine; a repetition adds its number."""
        described = {
            "dataset": [self.dataset, self.dataset_sha256, self.split],
            "train_size": self.train_size,
            "model": self.model,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "threads": self.threads,
        }
        text = json.dumps(described, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        object.__setattr__(self, "id", f"{digest}-{self.repeat}" if self.repeat else digest)

    def derived_seed(self, axis: str) -> int:
        """Return the seed of one source of randomness ("fit", "subset"), below 2**31.

        It depends on the trial's seed and the axis alone, so that adding a model, or asking for another
        training size, never changes the seeds of the rest.
        """
        digest = hashlib.sha256(f"{self.seed}/{axis}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


@dataclass(frozen=True)
class Batches:
    """Predictions in batches of one size, one after the other.

    Attributes:
        batch_size: Images a call.
        calls: Calls made; one more, before them, is not counted.
        wall_seconds: Wall time of all calls together.
    """

    batch_size: int
    calls: int
    wall_seconds: float

    @property
    def images_per_second(self) -> float:
        """Throughput at this batch size."""
        return self.batch_size * self.calls / self.wall_seconds if self.wall_seconds > 0 else 0.0


@dataclass(frozen=True)
class Inference:
    """Prediction as users meet it.

    Attributes:
        latency_seconds: Wall time of single predictions of one image each, in the order taken.
        batches: Throughput at each batch size that the time allowed.
    """

    latency_seconds: tuple[float, ...]
    batches: tuple[Batches, ...]


@dataclass(frozen=True)
class ColdStart:
    """A fresh process that loads the saved model and predicts one image; the files are in the disk's cache.

    Attributes:
        total_seconds: From the process's start to its first prediction; the system's clock gives 0.01 s.
        import_seconds: Importing the model's file, and with it its libraries.
        load_seconds: Loading the saved model.
        predict_seconds: The first prediction.
        peak_rss_bytes: Largest resident memory of that process, which only serves.
    """

    total_seconds: float
    import_seconds: float
    load_seconds: float
    predict_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class MachineLoad:
    """What the whole machine did while a trial trained and predicted.

    Attributes:
        wall_seconds: Time observed.
        busy_seconds: CPU time of all processes of the machine.
        own_seconds: CPU time of the trial.
        steal_seconds: CPU time that the hypervisor gave to other machines.
        throttled_count: Times that a core was throttled for heat, or the container for its quota.
        logical_cores: Cores of the machine.
    """

    wall_seconds: float
    busy_seconds: float
    own_seconds: float
    steal_seconds: float
    throttled_count: int
    logical_cores: int

    @property
    def others_share(self) -> float:
        """Share of the machine's CPU time that went to other processes."""
        capacity = self.wall_seconds * self.logical_cores
        return max(0.0, self.busy_seconds - self.own_seconds) / capacity if capacity > 0 else 0.0

    @property
    def steal_share(self) -> float:
        """Share of the machine's CPU time that the hypervisor kept from it."""
        capacity = self.wall_seconds * self.logical_cores
        return self.steal_seconds / capacity if capacity > 0 else 0.0


@dataclass(frozen=True)
class Measurement:
    """What one trial's process measured; raw values only.

    Attributes:
        import_seconds: Importing the model's file, and with it its libraries.
        load_seconds: Opening the arrays, choosing the subset, scaling and encoding.
        build_seconds: Calling the model's `build`.
        fit_seconds: Wall time of `fit`, and nothing else.
        fit_cpu_seconds: CPU time of `fit`, children included.
        first_predict_seconds: The first prediction, of one image, right after `fit`.
        predict_seconds: Wall time of `predict` on all evaluation images, after that first one.
        predict_cpu_seconds: CPU time of the same.
        peak_rss_bytes: Largest resident memory of the process tree, up to the end of the predictions.
        baseline_rss_bytes: Resident memory before `fit`: interpreter, libraries and images.
        memory_source: How the peak was read: the kernel's "VmHWM", or "sampled".
        model_bytes: Size of the fitted estimator when saved.
        train_images: Images that `fit` saw.
        test_images: Images that `predict` saw.
        train_accuracy: Accuracy on a fixed part of the training images, at most 2,000.
        engine: The library, with its version, that did the work.
        device: Where it ran: "cpu", or a GPU's name.
        warnings: Distinct warnings of the model's libraries, e.g. that it did not converge.
        load: What else the machine did during `fit` and `predict`.
        inference: Latency and throughput, where the suite asks for them.
        cold_start: A fresh process that serves the saved model, where the suite asks for it.
    """

    import_seconds: float
    load_seconds: float
    build_seconds: float
    fit_seconds: float
    fit_cpu_seconds: float
    first_predict_seconds: float
    predict_seconds: float
    predict_cpu_seconds: float
    peak_rss_bytes: int
    baseline_rss_bytes: int
    memory_source: str
    model_bytes: int | None
    train_images: int
    test_images: int
    train_accuracy: float
    engine: str
    device: str
    warnings: tuple[str, ...] = ()
    load: MachineLoad | None = None
    inference: Inference | None = None
    cold_start: ColdStart | None = None

    @property
    def effective_cores(self) -> float:
        """Cores that `fit` kept busy on average: CPU seconds by wall seconds."""
        return self.fit_cpu_seconds / self.fit_seconds if self.fit_seconds > 0 else 0.0

    @property
    def images_per_second(self) -> float:
        """Evaluation images predicted in a second, all in one call."""
        return self.test_images / self.predict_seconds if self.predict_seconds > 0 else 0.0


@dataclass(frozen=True)
class Failure:
    """Why a trial is not ok.

    Attributes:
        kind: The exception's type, the signal's name, or the limit that was met.
        message: One line for the reader.
        traceback: The model's traceback where there is one.
    """

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Record:
    """A finished trial: how it ended, what it yielded, and where it ran.

    Attributes:
        trial: What was run.
        status: How it ended.
        started_at: UTC, ISO 8601.
        trial_seconds: Wall time of the whole trial, from starting its process to collecting its result.
        beside: The most other trials that ran at the same time on its machine; 0 means that the timings had
            the machine to themselves.
        environment: The machine it ran on.
        measurement: None unless the trial reached its end.
        quality: None unless the trial reached its end.
        predictions_sha256: Of the stored predictions' arrays, as `predictions_digest` computes it.
        failure: None if and only if the status is ok.
        attempts: 1, or more if the worker of a cluster was lost on which the trial ran first.
    """

    trial: Trial
    status: Status
    started_at: str
    trial_seconds: float
    beside: int
    environment: Environment
    measurement: Measurement | None = None
    quality: Quality | None = None
    predictions_sha256: str | None = None
    failure: Failure | None = None
    attempts: int = 1


@dataclass(frozen=True)
class ModelInfo:
    """What a run keeps of a model's file.

    Attributes:
        name: The model's name.
        summary: The first line of its docstring.
        sha256: Of the file's bytes.
        path: The file, or None for one of the suite's own.
        parameters: The defaults of its `build`.
    """

    name: str
    summary: str
    sha256: str
    path: str | None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """The plan of a run, written once before its first trial.

    Attributes:
        name: The run folder's name.
        created_at: UTC, ISO 8601.
        command: The command line, as typed after the program's name.
        suite: The suite's name.
        dataset: Which images, from where; its arrays' folder is left empty, being this machine's alone.
        dataset_spec: What names the data set on the command line.
        trials: Every trial, in the order in which they are run.
        models: What each model's file said when the run was planned.
        timeout_seconds: Wall time each trial may take.
        memory_limit_bytes: Memory each trial's process tree may take.
        jobs: Trials run side by side.
        measurements: What is measured beside quality, `fit` and `predict`; see `plan.MEASUREMENTS`.
        environment: The machine that planned the run.
        backend: Where the trials are run: "local", or "dask", the workers of a Dask cluster.
        schema_version: Of this folder's files.
    """

    name: str
    created_at: str
    command: tuple[str, ...]
    suite: str
    dataset: DatasetInfo
    dataset_spec: str
    trials: tuple[Trial, ...]
    models: tuple[ModelInfo, ...]
    timeout_seconds: float
    memory_limit_bytes: int
    jobs: int
    measurements: tuple[str, ...]
    environment: Environment
    backend: str = "local"
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Session:
    """One call of the runner on a run folder.

    Attributes:
        started_at: UTC, ISO 8601.
        wall_seconds: Wall time of the whole call, calibrations included.
        trial_ids: The trials that ended in it.
        complete: Whether it ended by itself; False after an interruption.
        side_by_side: How many trials could run at the same time.
        before: The speed of each machine before the first trial; empty where it was not measured.
        after: The same after the last trial, in the same order.
    """

    started_at: str
    wall_seconds: float
    trial_ids: tuple[str, ...]
    complete: bool
    side_by_side: int = 1
    before: tuple[Calibration, ...] = ()
    after: tuple[Calibration, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """Stored predictions of one trial.

    Attributes:
        labels: Shape (n,), int64, the data set's own labels.
        probabilities: Shape (n, k), float32, columns in the order of the data set's classes; or None.
    """

    labels: "np.ndarray[Any, Any]"
    probabilities: "np.ndarray[Any, Any] | None"


def to_json(value: object) -> dict[str, Any]:
    """Turn a dataclass into plain JSON values."""
    return dataclasses.asdict(typing.cast(Any, value))


def from_json(kind: type[T], values: Mapping[str, Any]) -> T:
    """Rebuild a dataclass from plain JSON values; keys it does not know (a newer version's) are left out.

    Raises:
        TypeError: A field without a default is missing, or a value is of another type than its field.
        ValueError: A value is none of its field's choices.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"expected a {kind.__name__}, got {values!r:.50}")
    hints = _field_types(typing.cast(Any, kind))
    known = {
        f.name: _decoded(hints[f.name], values[f.name])
        for f in dataclasses.fields(typing.cast(Any, kind))
        if f.init and f.name in values
    }
    return kind(**known)


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decoded(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint == Mapping[str, ParameterValue] and isinstance(value, dict):
        return {name: plain_value(item) for name, item in value.items()}
    if origin in (types.UnionType, typing.Union):  # of one type and None
        return None if value is None else _decoded(arguments[0], value)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(Any, hint), value)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_decoded(arguments[0], item) for item in value)
    if origin is dict and isinstance(value, dict):
        return {name: _decoded(arguments[1], item) for name, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError(f"expected {hint}, got {value!r:.50}")
    return value


def encode_predictions(labels: "np.ndarray[Any, Any]", probabilities: "np.ndarray[Any, Any] | None") -> bytes:
    """Pack predictions as a compressed npz file's bytes."""
    import numpy as np

    arrays = {"labels": labels.astype(np.int64)}
    if probabilities is not None:
        arrays["probabilities"] = probabilities.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type] # numpy's stub reads ** as its flag
    return buffer.getvalue()


def decode_predictions(packed: bytes) -> Predictions:
    """Unpack what `encode_predictions` packed; never unpickles.

    Raises:
        ValueError: The bytes are no such file.
    """
    import numpy as np

    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            labels, probabilities = arrays["labels"], arrays.get("probabilities")
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for damaged bytes
        raise ValueError(f"not a file of predictions: {error}") from error
    if labels.ndim != 1 or labels.dtype != np.int64:
        raise ValueError(f"not a file of predictions: its labels are {labels.dtype}, {labels.shape}")
    if probabilities is not None and (
        probabilities.ndim != 2 or len(probabilities) != len(labels) or probabilities.dtype != np.float32
    ):
        raise ValueError(
            f"not a file of predictions: its probabilities are {probabilities.dtype}, {probabilities.shape}"
        )
    return Predictions(labels, probabilities)


def predictions_digest(predictions: Predictions) -> str:
    """Return the SHA-256 of the predictions' values, whatever the file's compression."""
    digest = hashlib.sha256(predictions.labels.astype("<i8").tobytes())
    if predictions.probabilities is not None:
        digest.update(predictions.probabilities.astype("<f4").tobytes())
    return digest.hexdigest()


class RunFolder:
    """One run on disk: `run.json`, `records.jsonl`, `predictions/`, `logs/` and what the report adds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results: Path, info: RunInfo) -> "RunFolder":
        """Make the folder `results/<name>`, or `<name>-2` and so on where there is one, and write its plan.

        Raises:
            MnistbenchError: The folder cannot be made or written.
        """
        folder = cls(results / info.name)
        try:
            results.mkdir(parents=True, exist_ok=True)
            wanted = info.name
            for number in itertools.count(1):
                info = dataclasses.replace(info, name=wanted if number == 1 else f"{wanted}-{number}")
                folder = cls(results / info.name)
                with contextlib.suppress(FileExistsError):  # another run began within the same second
                    folder.path.mkdir()
                    break
            (folder.path / "predictions").mkdir()
            (folder.path / "logs").mkdir()
            folder.write("run.json", json.dumps(to_json(info), indent=1).encode() + b"\n")
        except OSError as error:
            raise MnistbenchError(
                f"cannot write the run folder {folder.path}: {error.strerror or error}. "
                "Choose another place with --results FOLDER."
            ) from error
        return folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    def info(self) -> RunInfo:
        """Read the plan.

        Raises:
            MnistbenchError: It is damaged, or was written by a newer version.
        """
        path = self.path / "run.json"
        try:
            values = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise MnistbenchError(f"{path} cannot be read: {_said(error)}") from error
        schema = values.get("schema_version") if isinstance(values, dict) else None
        if type(schema) is not int:
            raise MnistbenchError(f"{path} is not a plan that mnistbench wrote: it has no schema_version.")
        if schema != SCHEMA_VERSION:
            raise MnistbenchError(
                f"{path} has schema version {schema}; this mnistbench reads version {SCHEMA_VERSION}. "
                "Read it with the mnistbench that wrote it, or run its command again."
            )
        try:
            return from_json(RunInfo, values)
        except (TypeError, ValueError) as error:
            raise MnistbenchError(f"{path} is not a plan that mnistbench wrote: {error}") from error

    def records(self) -> list[Record]:
        """Read the finished trials, in the order in which they ended; a torn last line is ignored.

        Raises:
            MnistbenchError: A line other than the last is damaged.
        """
        path = self.path / "records.jsonl"
        try:
            *lines, rest = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise MnistbenchError(f"{path} cannot be read: {_said(error)}") from error
        del rest  # empty after a whole line, else the torn end of a write that never finished
        found: dict[str, Record] = {}
        for number, line in enumerate(lines, start=1):
            try:
                record = from_json(Record, json.loads(line))
            except (ValueError, TypeError, RecursionError) as error:
                raise MnistbenchError(
                    f"{path}, line {number}, is damaged: {error}. Take that line out, and "
                    f"`mnistbench run --resume {self.name}` runs its trial again."
                ) from error
            found[record.trial.id] = record
        return list(found.values())

    def append(self, record: Record, predictions: bytes | None, log: bytes) -> None:
        """Store one finished trial; the record's line comes last, so it never points to missing files.

        Raises:
            OSError: The disk is full or the folder is read-only.
        """
        self.write(f"logs/{record.trial.id}.log", log)
        if predictions is not None:
            self.write(f"predictions/{record.trial.id}.npz", predictions)
        self._append_line("records.jsonl", to_json(record))

    def append_session(self, session: Session) -> None:
        """Note one call of the runner on this folder: when it began, how long it took, what it cost."""
        self._append_line("sessions.jsonl", to_json(session))

    def sessions(self) -> list[Session]:
        """Read the calls of the runner on this folder, oldest first; damaged lines are left out."""
        try:
            lines = (self.path / "sessions.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                found.append(from_json(Session, json.loads(line)))
        return found

    def predictions(self, trial_id: str) -> Predictions:
        """Read the stored predictions of one trial.

        Raises:
            FileNotFoundError: The trial stored none.
            ValueError: The file is damaged.
        """
        return decode_predictions((self.path / "predictions" / f"{trial_id}.npz").read_bytes())

    def log(self, trial_id: str) -> str:
        """Return what the trial's process printed, or nothing if there is no log."""
        path = self.path / "logs" / f"{trial_id}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run whole or not at all: a reader never sees half of it."""
        path = self.path / name
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while trials are added to it, and clear away what a killed run left half-written.

        Raises:
            MnistbenchError: Another process is adding trials to it, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context((self.path / ".lock").open("w"))
                _lock(file)
                for partial in (
                    *self.path.glob("logs/.*.partial"),
                    *self.path.glob("predictions/.*.partial"),
                ):
                    partial.unlink(missing_ok=True)
            except BlockingIOError as error:
                raise MnistbenchError(
                    f"{self.path} is in use by another mnistbench; wait for it to end, or start a new run."
                ) from error
            except OSError as error:
                raise MnistbenchError(
                    f"the run folder {self.path} cannot be written: {_said(error)}."
                ) from error
            yield

    def _append_line(self, name: str, values: Mapping[str, Any]) -> None:
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        with (self.path / name).open("ab+", buffering=0) as file:  # a buffer would write again when closed
            file.seek(0)
            end = file.readall().rfind(b"\n") + 1
            file.truncate(end)  # cuts off the torn end of a write that never finished
            try:
                rest = line
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise
        _sync_folder(self.path)


def _sync_folder(folder: Path) -> None:
    """Make sure that a file's new name outlives a loss of power too."""
    with contextlib.suppress(OSError):  # some systems and network disks cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(file: IO[str]) -> None:
    """Lock a file until it is closed, where the system and the disk can; BlockingIOError if it is taken."""
    try:
        import fcntl
    except ImportError:  # Windows: no advisory lock of this kind
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a network disk without locks
        return


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def find_runs(results: Path) -> list[RunFolder]:
    """Return the runs in a results folder, oldest first by the time of their plan.

    The file's own time only parts runs that were planned within one second: a copy or a checkout changes it.
    """
    found = []
    for path in results.glob("*/run.json"):
        with contextlib.suppress(FileNotFoundError):  # removed just now
            found.append((_created_at(path), path.stat().st_mtime_ns, path))
    return [RunFolder(path.parent) for _, _, path in sorted(found)]


def _created_at(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["created_at"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""  # whoever reads that run is told what is wrong with it


def find_run(results: Path, name: str | None) -> RunFolder:
    """Return the run of that name or path; the newest if there is no name.

    Raises:
        UsageError: There is no such run.
    """
    if name is None:
        folders = find_runs(results)
        if not folders:
            raise UsageError(f"there is no run in {results} yet; `mnistbench run` makes one.")
        return folders[-1]
    for path in (results / name, Path(name)):
        if (path / "run.json").is_file():
            return RunFolder(path)
    raise UsageError(unknown("run", name, [folder.name for folder in find_runs(results)]))


def find_trial(results: Path, address: str) -> tuple[RunFolder, Trial]:
    """Return the trial of an address RUN/ID, with its run.

    Raises:
        UsageError: There is no such run or trial.
    """
    name, slash, trial_id = address.rstrip("/").rpartition("/")
    if not slash:
        raise UsageError(f"--trial {address!r} is not understood; expected RUN/ID, as a report prints it.")
    folder = find_run(results, name)
    trials = {trial.id: trial for trial in folder.info().trials}
    if trial_id not in trials:
        raise UsageError(unknown(f"trial of {folder.name}", trial_id, trials))
    return folder, trials[trial_id]


def find_interrupted_run(results: Path) -> RunFolder:
    """Return the newest run that lacks records; those that cannot be read are passed over.

    Raises:
        UsageError: There is none.
    """
    for folder in reversed(find_runs(results)):
        with contextlib.suppress(MnistbenchError):
            if len(folder.records()) < len(folder.info().trials):
                return folder
    raise UsageError(f"there is no interrupted run in {results}; leave --resume out to start a new one.")
