"""The run folder: keeps a run's plan, records, predictions and logs on disk, whatever happens.

It holds plain files only (JSON, JSON lines, npz, text): they survive a crash of the run, diff well, need no
server, and are never unpickled. A run or trial to find that is not there, or is there twice, is a UsageError.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from mnistbench.datasets.arrays import Labels
from mnistbench.datasets.cache import sync_folder
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.errors import MnistbenchError, UsageError, unknown
from mnistbench.machine import Environment
from mnistbench.runs.json import from_json, to_json
from mnistbench.runs.predictions import Predictions, decode_groups, decode_predictions
from mnistbench.runs.records import SCHEMA_VERSION, Record, RunInfo, Session, Trial
from mnistbench.text import command

T = TypeVar("T")

_TAIL_BYTES = 65_536  # of records.jsonl; a record takes a few thousand
_STALE_SECONDS = 3600.0  # creating a run's folder takes a fraction of a second


class RunFolder:
    """One run on disk: `run.json`, `records.jsonl`, `predictions/`, `logs/` and the files of the report.

    A damaged file, or one of a newer version, is a MnistbenchError where nothing else is said.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results: Path, info: RunInfo, labels: bytes | None = None) -> "RunFolder":
        """Create the folder `results/<name>`, or `<name>-2` and so on if that exists, with its plan.

        It is created under another name and then renamed, so that every run has its plan and its labels
        (packed by `encode_truth`).

        Raises:
            MnistbenchError: The folder cannot be created or written.
        """
        staged = cls(results / f".{info.name}.{secrets.token_hex(4)}.partial")
        try:
            _remove_stale(results)
            for folder in (staged.path, staged.path / "predictions", staged.path / "logs"):
                folder.mkdir(parents=True)
            if labels is not None:
                staged.write("labels.npz", labels)
            wanted = info.name
            for number in itertools.count(1):
                info = dataclasses.replace(info, name=wanted if number == 1 else f"{wanted}-{number}")
                staged.write("run.json", json.dumps(to_json(info), indent=1).encode() + b"\n")
                if _renamed(staged.path, results / info.name):
                    break
            sync_folder(results)
        except OSError as error:
            raise MnistbenchError(
                f"cannot write the run folder {results / info.name}: {error.strerror or error}. "
                "Choose another folder with --results FOLDER."
            ) from error
        finally:
            shutil.rmtree(staged.path, ignore_errors=True)  # already renamed unless something failed
        return cls(results / info.name)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    def command(self, *words: str) -> str:
        """Return a command for this run, such as "run", "--resume", for the current working directory."""
        within = self.path if self.path.name not in ("", "..") else self.path.resolve()
        return command(*words, self.name, results=within.parent)

    def info(self) -> RunInfo:
        """Read the plan."""
        path = self.path / "run.json"
        try:
            values = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise MnistbenchError(f"{path} cannot be read: {_reason(error)}") from error
        schema = values.get("schema_version") if isinstance(values, dict) else None
        if type(schema) is not int:
            raise MnistbenchError(f"{path} is not a plan by mnistbench: it has no schema_version.")
        if schema != SCHEMA_VERSION:
            raise MnistbenchError(
                f"{path} has schema version {schema}; this mnistbench reads version {SCHEMA_VERSION}. "
                "Read it with the version that wrote it, or run its command again."
            )
        try:
            return from_json(RunInfo, values)
        except (TypeError, ValueError) as error:
            raise MnistbenchError(f"{path} is not a plan by mnistbench: {error}") from error

    def records(self) -> list[Record]:
        """Read the finished trials in the order in which they ended; a torn last line is ignored."""
        path = self.path / "records.jsonl"
        found: dict[str, Record] = {}
        environments: list[Environment] = []
        try:
            for number, line in enumerate(_whole_lines(path), start=1):
                try:
                    record = from_json(Record, json.loads(line))
                except (ValueError, TypeError, RecursionError) as error:
                    raise MnistbenchError(
                        f"{path}, line {number}, is damaged: {error}. Delete that line, and "
                        f"`{self.command('run', '--resume')}` runs its trial again."
                    ) from error
                # Nearly all trials of a run share one environment, which is a third of a record's memory.
                if record.environment not in environments:
                    environments.append(record.environment)
                shared = environments[environments.index(record.environment)]
                found[record.trial.id] = dataclasses.replace(record, environment=shared)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise MnistbenchError(f"{path} cannot be read: {_reason(error)}") from error
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
        """Append one session, when it ends."""
        self._append_line("sessions.jsonl", to_json(session))

    def sessions(self) -> list[Session]:
        """Read the sessions, oldest first; damaged lines are left out."""
        try:
            lines = (self.path / "sessions.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                found.append(from_json(Session, json.loads(line)))
        return found

    def predictions(self, trial_id: str, *, labels_only: bool = False) -> Predictions:
        """Read the stored predictions of one trial; see `decode_predictions`.

        Raises:
            FileNotFoundError: The trial has none.
            ValueError: The file is damaged.
        """
        packed = (self.path / "predictions" / f"{trial_id}.npz").read_bytes()
        return decode_predictions(packed, labels_only=labels_only)

    def true_labels(self) -> Labels | None:
        """Read the true labels of the images that judge the run, int64, (n,); None if it stored none."""
        predictions = self._truth(decode_predictions)
        return None if predictions is None else predictions.labels

    def groups(self) -> EvaluationGroups | None:
        """Read the groups of the images that judge the run, such as their writers; None if it stored none."""
        return self._truth(decode_groups)

    def _truth(self, decode: Callable[[bytes], T | None]) -> T | None:
        path = self.path / "labels.npz"
        try:
            return decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise MnistbenchError(
                f"{path} cannot be read: {_reason(error)}. Delete it to report without per-class results, "
                "or run the trials again."
            ) from error

    def is_newest_of(self, results: Path) -> bool:
        """Return whether this is the newest run in a results folder."""
        runs = find_runs(results)
        return bool(runs) and runs[-1].path.resolve() == self.path.resolve()

    def log(self, trial_id: str) -> str:
        """Return the output of the trial's process, or "" if there is no log."""
        path = self.path / "logs" / f"{trial_id}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run atomically: a reader never sees half of it."""
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
        sync_folder(path.parent)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder while trials are added to it, and remove the half-written files of a killed run.

        Raises:
            MnistbenchError: Another process has locked it, or it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context((self.path / ".lock").open("w"))
                _lock(file)
                for partial in self.path.rglob(".*.partial"):
                    if partial.parent.name in ("logs", "predictions") or not _is_being_written(partial):
                        partial.unlink(missing_ok=True)
            except BlockingIOError as error:
                raise MnistbenchError(
                    f"{self.path} is in use by another mnistbench; wait for it to end, or start a new run."
                ) from error
            except OSError as error:
                raise MnistbenchError(
                    f"the run folder {self.path} cannot be written: {_reason(error)}."
                ) from error
            yield

    @property
    def is_interrupted(self) -> bool:
        """Whether trials of the plan have no record yet, and no process is running them."""
        return len(self.records()) < len(self.info().trials) and not self._is_locked()

    def _is_locked(self) -> bool:
        try:
            with (self.path / ".lock").open("r+") as file:
                _lock(file)
        except BlockingIOError:
            return True
        except OSError:  # no process has ever added trials, or none may
            return False
        return False

    def _append_line(self, name: str, values: Mapping[str, Any]) -> None:
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        with (self.path / name).open("ab+", buffering=0) as file:  # a buffer would write again on close
            end = _whole_end(file)
            file.truncate(end)
            try:
                rest = line
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:  # not an interruption: that leaves a complete line, or a torn one that is ignored
                file.truncate(end)
                raise
        sync_folder(self.path)


def _whole_length(lines: bytes) -> int:
    """Return the length without a last line torn by a kill, a full disk or a power failure.

    After a power failure the last line may have its length but read as zeros, which JSON never contains.
    """
    end = lines.rfind(b"\n") + 1
    start = lines.rfind(b"\n", 0, max(end - 1, 0)) + 1
    return start if b"\0" in lines[start:end] else end


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Read the lines that `_whole_length` counts, one by one, as those of a large run are tens of MB."""
    with path.open("rb") as file:
        left = _whole_end(file)
        file.seek(0)
        for line in file:
            left -= len(line)
            if left < 0:
                return
            yield line


def _whole_end(file: IO[bytes]) -> int:
    """Return `_whole_length` of a file, of which only the last lines are read."""
    size = file.seek(0, os.SEEK_END)
    for length in (_TAIL_BYTES, size):
        begin = file.seek(max(0, size - length))
        tail = file.read()
        if tail.count(b"\n") > 1:  # the last line and the end of the one before
            break
    return begin + _whole_length(tail)


def _renamed(staged: Path, path: Path) -> bool:
    """Give a new folder its final name; return False if another run already has it."""
    if path.exists():
        return False
    try:
        staged.rename(path)
    except OSError:
        if not path.exists():
            raise
        return False  # another run took the name within the same second
    return True


def _remove_stale(results: Path) -> None:
    """Remove the unfinished folders of killed runs."""
    for path in results.glob(".*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_being_written(partial: Path) -> bool:
    """Return whether the process that is writing a file of `RunFolder.write` is still alive."""
    import psutil

    owner = partial.name.split(".")[-2]
    return owner.isdigit() and int(owner) != os.getpid() and psutil.pid_exists(int(owner))


def _lock(file: IO[str]) -> None:
    """Lock a file until it is closed, where the system and the disk can; BlockingIOError if another has."""
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


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def find_runs(results: Path) -> list[RunFolder]:
    """Return the runs in a results folder, oldest first by the time of their plan.

    The file's own time only orders runs planned within one second, as a copy or a checkout changes it.
    """
    found = []
    for path in results.glob("[!.]*/run.json"):  # a folder with a dot is not finished
        with contextlib.suppress(FileNotFoundError):  # removed just now
            found.append((_created_at(path), path.stat().st_mtime_ns, path))
    return [RunFolder(path.parent) for _, _, path in sorted(found)]


def _created_at(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["created_at"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""  # reading that run reports the reason


def find_run(results: Path, name: str | None) -> RunFolder:
    """Return the run of that name or path, or the newest if that is None.

    A name is looked up in the results folder and in the working directory, and refused if both have it. With
    a slash, as `./NAME`, it is a path.
    """
    if name is None:
        folders = find_runs(results)
        if not folders:
            first = command("run", results=results)
            raise UsageError(f"there is no run in {results} yet; `{first}` starts one.")
        return folders[-1]
    path = _chosen(_candidates(results, name), name, _is_run)
    if path is None:
        raise UsageError(unknown("run", name, [folder.name for folder in find_runs(results)]))
    return RunFolder(path)


def find_runs_of(results: Path, name: str | None) -> list[RunFolder]:
    """Return the run that `find_run` finds, or else all runs in the folder of that name or path."""
    if name is not None:
        candidates = _candidates(results, name)
        if _chosen(candidates, name, _is_run) is None:
            folder = _chosen(candidates, name, lambda path: bool(find_runs(path)))
            if folder is not None:
                return find_runs(folder)
    return [find_run(results, name)]


def _candidates(results: Path, name: str) -> list[Path]:
    """Return the paths that a run's name may mean, in order."""
    return [Path(name)] if _is_path(name) else [results / name, Path(name)]


def _is_path(name: str) -> bool:
    return name in (os.curdir, os.pardir) or any(mark in name for mark in (os.sep, os.altsep) if mark)


def _is_run(path: Path) -> bool:
    try:
        return (path / "run.json").is_file()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {_reason(error)}.") from error


def _chosen(candidates: list[Path], name: str, fits: Callable[[Path], bool]) -> Path | None:
    """Return the first path that fits; refuse the name if two do."""
    found = [path for path in candidates if fits(path)]
    if len({path.resolve() for path in found}) > 1:
        either = " or ".join(str(path) if _is_path(str(path)) else f".{os.sep}{path}" for path in found)
        raise UsageError(f"{name!r} may mean {either}; use one of these paths.")
    return found[0] if found else None


def find_trial(results: Path, address: str) -> tuple[RunFolder, Trial]:
    """Return the run and the trial of an address RUN/ID."""
    name, slash, trial_id = address.rstrip("/").rpartition("/")
    if not slash:
        raise UsageError(f"--trial {address!r} is not understood; expected RUN/ID, as in a report.")
    folder = find_run(results, name)
    trials = {trial.id: trial for trial in folder.info().trials}
    if trial_id not in trials:
        raise UsageError(unknown(f"trial of {folder.name}", trial_id, trials))
    return folder, trials[trial_id]


def find_interrupted_run(results: Path) -> RunFolder:
    """Return the newest run that lacks records; unreadable ones are skipped."""
    for folder in reversed(find_runs(results)):
        with contextlib.suppress(MnistbenchError):
            if folder.is_interrupted:
                return folder
    raise UsageError(f"there is no interrupted run in {results}; leave --resume out to start a new one.")
