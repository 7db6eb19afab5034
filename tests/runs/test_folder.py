"""What was planned and what happened survives storage, crashes, full disks and damage, or says so."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.python import run_python
from support.records import FAILED, RECORD, TRIAL

from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.machine import Calibration
from mnistbench.runs.folder import RunFolder, find_interrupted_run, find_run, find_runs, find_runs_of
from mnistbench.runs.json import to_json
from mnistbench.runs.predictions import encode_predictions
from mnistbench.runs.records import SCHEMA_VERSION, Record, RunInfo, Session, Status

CODE = """
from pathlib import Path
from mnistbench.errors import MnistbenchError
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.json import to_json
from support.python import run_python
from support.records import FAILED
folder = RunFolder(Path(sys.argv[1]))
"""


def test_records_come_back_with_their_predictions_and_log(folder):
    packed = encode_predictions(np.array([4, 7]), None)
    folder.append(RECORD, packed, b"hello \xff\n")
    folder.append(FAILED, None, b"")
    assert folder.records() == [RECORD, FAILED]
    assert folder.predictions(TRIAL.id).labels.tolist() == [4, 7]
    assert folder.log(TRIAL.id) == "hello \ufffd\n"
    assert folder.log("nothing") == ""
    with pytest.raises(FileNotFoundError):
        folder.predictions(FAILED.trial.id)
    assert not list(folder.path.rglob("*.partial"))


def test_a_trial_that_was_run_again_counts_once(folder):
    folder.append(FAILED, None, b"")
    again = replace(FAILED, status=Status.TIMEOUT)
    folder.append(again, None, b"")
    assert folder.records() == [again]


@pytest.mark.parametrize("tail_bytes", [16, 65_536])
def test_a_record_torn_at_any_byte_is_ignored_and_replaced(folder, tail_bytes, monkeypatch, record_property):
    """A file's new length can reach the disk before its content does: it then reads as zeros."""
    monkeypatch.setattr("mnistbench.runs.folder._TAIL_BYTES", tail_bytes)
    folder.append(RECORD, None, b"")
    path = folder.path / "records.jsonl"
    before = path.read_bytes()
    folder.append(FAILED, None, b"")
    line = path.read_bytes().removeprefix(before)
    torn = [line[:end] for end in range(len(line))]
    zeroed = [bytes(4096), bytes(len(line)), bytes(len(line) - 1) + b"\n", line[:9] + bytes(90) + line[99:]]
    for number, last in enumerate([b"\xff", *zeroed, *torn]):
        path.write_bytes(before + last)
        assert folder.records() == [RECORD]
        if number % 97 < 5 or len(last) > len(line) - 3:
            folder.append(FAILED, None, b"")
            assert path.read_bytes() == before + line
    record_property("did", f"so at each of {len(torn):,} bytes")


def test_a_first_line_that_is_torn_is_no_record(folder):
    (folder.path / "records.jsonl").write_bytes(b'{"trial": {"dat')
    assert folder.records() == []
    folder.append(RECORD, None, b"")
    assert folder.records() == [RECORD]


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"3", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_line_before_the_last_is_an_error_that_names_it(folder, line):
    folder.append(RECORD, None, b"")
    path = folder.path / "records.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())
    with pytest.raises(MnistbenchError, match=r"records\.jsonl, line 2, is damaged.*--resume 20260101"):
        folder.records()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "is not a plan by mnistbench: it has no schema_version"),
        (b"{}", "it has no schema_version"),
        (b'{"schema_version": "1"}', "it has no schema_version"),
        (b'{"schema_version": 99}', "has schema version 99; this mnistbench reads version 1. Read it with"),
        (b'{"schema_version": 1}', "is not a plan by mnistbench"),
    ],
)
def test_an_unreadable_plan_is_reported(folder, content, message):
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(MnistbenchError, match=message):
        folder.info()
    assert SCHEMA_VERSION == 1


def test_a_missing_plan_is_reported(tmp_path):
    with pytest.raises(MnistbenchError, match=r"run\.json cannot be read: No such file"):
        RunFolder(tmp_path).info()


def test_sessions_come_back_and_damaged_ones_are_left_out(folder):
    assert folder.sessions() == []
    first = Session("2026-01-01T00:00:00+00:00", 1.5, (TRIAL.id,), complete=False)
    speed = Calibration((0.1, 0.2), (0.3,), (0.4,), (0.5,))
    second = replace(first, complete=True, side_by_side=2, before=(speed,), after=(speed, speed))
    folder.append_session(first)
    path = folder.path / "sessions.jsonl"
    path.write_bytes(path.read_bytes() + b"{\n[]\n{}\n\xff\n" + b"[" * 100_000 + b"\n")
    folder.append_session(second)
    assert folder.sessions() == [first, second]


def test_runs_of_the_same_name_get_folders_of_their_own(tmp_path, info):
    barrier = threading.Barrier(6)
    made = []

    def create() -> None:
        barrier.wait()
        made.append(RunFolder.create(tmp_path, info))

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f.name for f in made} == {info.name, *(f"{info.name}-{n}" for n in range(2, 7))}
    assert all(f.info().name == f.name for f in made)


def test_a_results_folder_that_cannot_be_created_is_reported(tmp_path, info):
    (tmp_path / "file").write_text("")
    with pytest.raises(MnistbenchError, match=r"cannot write the run folder .* --results FOLDER"):
        RunFolder.create(tmp_path / "file", info)


def test_a_reader_never_sees_half_of_a_file(folder):
    contents = [bytes([65 + n]) * 300_000 for n in range(4)]
    folder.write("report.md", contents[0])
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            for content in contents:
                folder.write("report.md", content)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert (folder.path / "report.md").read_bytes() in contents
    finally:
        stop.set()
        writer.join()


def test_a_folder_has_one_holder_at_a_time(folder):
    code = CODE + (
        "try:\n    folder.locked().__enter__()\nexcept MnistbenchError as error:\n    sys.exit(str(error))\n"
    )
    with folder.locked():
        answer = run_python(code, folder.path)
        assert answer.returncode == 1
        assert "is in use by another mnistbench; wait for it to end" in answer.stderr
    assert run_python(code, folder.path).returncode == 0
    with folder.locked(), pytest.raises(MnistbenchError, match="is in use"), folder.locked():
        pass


def test_the_lock_goes_with_its_holder_however_it_ends(folder):
    code = CODE + "folder.locked().__enter__(); import os; os.kill(os.getpid(), 9)"
    assert run_python(code, folder.path).returncode == -9
    with folder.locked():
        pass


def test_what_a_killed_run_left_half_written_is_cleared_away(folder):
    left = [folder.path / "predictions" / ".abc.npz.77.partial", folder.path / "logs" / ".abc.log.77.partial"]
    for path in left:
        path.write_bytes(b"half")
    with folder.locked():
        assert not any(path.exists() for path in left)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_reported(folder):
    folder.path.chmod(0o500)
    try:
        with pytest.raises(MnistbenchError, match="cannot be written"), folder.locked():
            pass
    finally:
        folder.path.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
@pytest.mark.parametrize("room", [0, 1, 700])
def test_a_full_disk_loses_nothing_that_was_stored(folder, room):
    """RLIMIT_FSIZE makes a write end in the middle, as a full disk does."""
    folder.append(RECORD, None, b"log")
    before = (folder.path / "records.jsonl").read_bytes()
    code = CODE + (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + room},) * 2)\n"
        "try:\n    folder._append_line('records.jsonl', to_json(FAILED))\n"
        "except OSError as error:\n    print('refused:', error.strerror)\n"
        "try:\n    folder.write('large', b'x' * 100_000)\n"
        "except OSError as error:\n    print('refused:', error.strerror)\n"
    )
    answer = run_python(code, folder.path)
    assert answer.stdout == "refused: File too large\n" * 2, answer.stderr
    assert (folder.path / "records.jsonl").read_bytes() == before
    assert not list(folder.path.rglob("*.partial"))
    assert not (folder.path / "large").exists()
    folder.append(FAILED, None, b"")
    assert folder.records() == [RECORD, FAILED]


def test_a_record_that_is_written_outlives_an_interruption_right_after(folder, monkeypatch):
    def interrupted(_descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder._append_line("records.jsonl", to_json(RECORD))
    assert folder.records() == [RECORD]
    folder.append(FAILED, None, b"")
    assert folder.records() == [RECORD, FAILED]


# Finding runs


def made(results: Path, info: RunInfo, name: str, created_at: str, *records: Record) -> RunFolder:
    folder = RunFolder.create(results, replace(info, name=name, created_at=created_at))
    for record in records:
        folder.append(record, None, b"")
    return folder


def test_runs_are_found_oldest_first_by_their_plan_not_by_their_files(tmp_path, info):
    for name, created_at in (("b", "2026-01-02"), ("c", "2026-01-03"), ("a", "2026-01-01")):
        made(tmp_path, info, name, created_at)
    os.utime(tmp_path / "a" / "run.json")
    (tmp_path / "no-run").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    assert [f.name for f in find_runs(tmp_path)] == ["damaged", "a", "b", "c"]
    assert find_run(tmp_path, None).name == "c"
    assert find_run(tmp_path, "a").name == "a"
    assert find_run(tmp_path, str(tmp_path / "b")).name == "b"
    with pytest.raises(UsageError, match=r"there is no run named 'aa'. Did you mean a\?"):
        find_run(tmp_path, "aa")
    with pytest.raises(UsageError, match=r"there is no run in .* yet"):
        find_run(tmp_path / "nowhere", None)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with nothing in it."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def paths(folders: list[RunFolder]) -> list[Path]:
    return [folder.path for folder in folders]


RESULTS = Path("results")


def test_a_run_in_results_wins_over_a_folder_of_its_name_that_is_no_run(place, info):
    made(RESULTS, info, "a", "2026-01-01")
    Path("a").mkdir()
    assert find_run(RESULTS, "a").path == RESULTS / "a"
    made(Path("a"), info, "b", "2026-01-02")  # a folder of runs is no run either
    assert find_run(RESULTS, "a").path == RESULTS / "a"
    assert paths(find_runs_of(RESULTS, "a")) == [RESULTS / "a"]
    assert paths(find_runs_of(RESULTS, "./a")) == [Path("a/b")]


def test_a_run_in_the_working_directory_is_found_where_results_has_none_of_its_name(place, info):
    (RESULTS / "a").mkdir(parents=True)
    made(Path(), info, "a", "2026-01-01")
    assert find_run(RESULTS, "a").path == Path("a")
    assert paths(find_runs_of(RESULTS, "a")) == [Path("a")]


def test_a_name_of_two_runs_is_refused_and_each_is_reached_by_its_path(place, info):
    made(RESULTS, info, "a", "2026-01-01")
    made(Path(), info, "a", "2026-01-02")
    for find in (find_run, find_runs_of):
        with pytest.raises(UsageError, match=r"'a' may mean results/a or \./a; use one of these paths"):
            find(RESULTS, "a")
    assert find_run(RESULTS, "results/a").path == RESULTS / "a"
    assert find_run(RESULTS, "./a").path == Path("a")
    assert find_run(Path(), "a").path == Path("a")  # one folder, reached in two ways, is not two


def test_a_path_is_from_the_working_directory_whatever_lies_in_results(place, info):
    made(RESULTS / "reference", info, "a", "2026-01-01")
    with pytest.raises(UsageError, match="no run named 'reference/a'"):
        find_run(RESULTS, "reference/a")
    made(Path("reference"), info, "a", "2026-01-02")
    assert find_run(RESULTS, "reference/a").path == Path("reference/a")
    assert find_run(RESULTS, str(place / "results" / "reference" / "a")).info().created_at == "2026-01-01"


def test_runs_are_found_by_name_by_path_and_by_their_folder(place, info):
    made(RESULTS, info, "a", "2026-01-01")
    made(RESULTS, info, "b", "2026-01-02")
    both = [RESULTS / "a", RESULTS / "b"]
    assert paths(find_runs_of(RESULTS, None)) == [RESULTS / "b"]
    assert paths(find_runs_of(RESULTS, "a")) == [RESULTS / "a"]
    assert paths(find_runs_of(place, str(RESULTS / "a"))) == [RESULTS / "a"]
    assert paths(find_runs_of(place / "nowhere", "results")) == both
    assert paths(find_runs_of(place / "nowhere", str(place / "results"))) == [place / path for path in both]
    with pytest.raises(UsageError, match="no run named 'nothing'"):
        find_runs_of(RESULTS, "nothing")


def test_a_name_of_two_folders_of_runs_is_refused(place, info):
    made(RESULTS, info, "a", "2026-01-01")
    made(Path("shared/results"), info, "b", "2026-01-01")
    with pytest.raises(UsageError, match=r"'results' may mean shared/results or \./results"):
        find_runs_of(Path("shared"), "results")
    assert paths(find_runs_of(Path("shared"), "./results")) == [RESULTS / "a"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every folder")
def test_a_run_that_may_not_be_read_is_one_clear_line(place, info):
    folder = made(RESULTS, info, "a", "2026-01-01").path
    folder.chmod(0)
    try:
        with pytest.raises(UsageError, match="results/a cannot be read: Permission denied"):
            find_run(RESULTS, "a")
    finally:
        folder.chmod(0o700)


def test_the_newest_interrupted_run_is_found(tmp_path, info):
    with pytest.raises(UsageError, match="there is no interrupted run"):
        find_interrupted_run(tmp_path)
    made(tmp_path, info, "old", "2026-01-01")
    made(tmp_path, info, "half", "2026-01-02", RECORD)
    made(tmp_path, info, "whole", "2026-01-03", RECORD, FAILED)
    (tmp_path / "whole" / "copy").mkdir()
    newest = made(tmp_path, info, "newest", "2026-01-04")
    (newest.path / "records.jsonl").write_text("damaged\n")
    assert find_interrupted_run(tmp_path).name == "half"
    with RunFolder(tmp_path / "half").locked():
        assert not RunFolder(tmp_path / "half").is_interrupted
    assert RunFolder(tmp_path / "half").is_interrupted


def test_a_run_knows_its_split_its_labels_and_whether_it_is_the_newest(tmp_path, info):
    older = RunFolder.create(tmp_path, replace(info, name="older", created_at="2026-01-01T00:00:00+00:00"))
    labels = np.array([4, 7, 4])
    newer = RunFolder.create(
        tmp_path,
        replace(info, name="newer", created_at="2026-01-02T00:00:00+00:00"),
        encode_predictions(labels, None),
    )
    assert older.true_labels() is None
    assert newer.true_labels().tolist() == labels.tolist()
    assert newer.is_newest_of(tmp_path)
    assert not older.is_newest_of(tmp_path)
    held_out = replace(info, trials=tuple(replace(trial, split="validation") for trial in info.trials))
    assert (info.split, info.is_validation) == ("test", False)
    assert (held_out.split, held_out.is_validation) == ("validation", True)
