"""What was planned and what happened survives storage, crashes, full disks and damage, or says so."""

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mnistbench import machine
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.machine import Calibration
from mnistbench.runs.folder import RunFolder, find_interrupted_run, find_run, find_runs, find_runs_of
from mnistbench.runs.json import from_json, to_json
from mnistbench.runs.predictions import decode_predictions, encode_predictions, predictions_digest
from mnistbench.runs.records import (
    SCHEMA_VERSION,
    Batches,
    ColdStart,
    Failure,
    Inference,
    MachineLoad,
    Measurement,
    ModelInfo,
    Record,
    RunInfo,
    Session,
    Status,
    Trial,
)
from mnistbench.stats.scores import quality

TRIAL = Trial(
    dataset="noise",
    dataset_sha256="ab" * 32,
    train_size=100,
    model="svm",
    parameters={"C": 10.0, "gamma": "scale", "depth": None, "flag": True, "sizes": (1, (2, 3))},
    seed=3,
    threads=2,
)
MEASUREMENT = Measurement(
    import_seconds=0.1,
    load_seconds=0.2,
    build_seconds=0.3,
    fit_seconds=4.0,
    fit_cpu_seconds=6.0,
    first_predict_seconds=0.01,
    predict_seconds=0.5,
    predict_cpu_seconds=0.7,
    peak_rss_bytes=2**33,
    baseline_rss_bytes=2**27,
    memory_source="VmHWM",
    model_bytes=None,
    train_images=100,
    test_images=50,
    train_accuracy=1.0,
    engine="scikit-learn 1.7",
    device="cpu",
    warnings=("A: b", "ü"),
    load=MachineLoad(1.0, 0.5, 0.4, 0.0, 2, 8),
    inference=Inference((0.1, 0.2), (Batches(10, 3, 0.5), Batches(100, 1, 0.9))),
    cold_start=ColdStart(2.0, 1.0, 0.5, 0.1, 2**28),
)
QUALITY = quality([4, 7, 4], [4, 4, 4], [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]], (4, 7))
RECORD = Record(
    trial=TRIAL,
    status=Status.OK,
    started_at="2026-01-01T00:00:00+00:00",
    trial_seconds=6.5,
    beside=0,
    environment=machine.environment(),
    measurement=MEASUREMENT,
    quality=QUALITY,
    predictions_sha256="cd" * 32,
)
FAILED = Record(
    trial=replace(TRIAL, seed=4),
    status=Status.CRASHED,
    started_at="2026-01-01T00:00:00+00:00",
    trial_seconds=1.0,
    beside=1,
    environment=machine.environment(),
    failure=Failure("SIGSEGV", "its process was killed by SIGSEGV", "line 1\nline 2"),
)


@pytest.fixture
def info(dataset) -> RunInfo:
    return RunInfo(
        name="20260101-000000-quick-noise",
        created_at="2026-01-01T00:00:00+00:00",
        command=("run", "--only", "svm"),
        suite="quick",
        dataset=replace(dataset, arrays_folder=""),
        dataset_spec="noise",
        trials=(TRIAL, FAILED.trial),
        models=(ModelInfo("svm", "A machine.", "ef" * 32, None, {"C": 10.0, "sizes": (1, (2, 3))}),),
        timeout_seconds=60.0,
        memory_limit_bytes=2**30,
        jobs=1,
        measurements=("inference",),
        environment=machine.environment(),
    )


@pytest.fixture
def folder(tmp_path, info) -> RunFolder:
    return RunFolder.create(tmp_path / "results", info)


def run_python(code: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run code that may use this module's records, in another process."""
    preamble = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_folder import *\n"
    return subprocess.run(
        [sys.executable, "-c", preamble + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


# Trials


def test_the_id_depends_on_what_is_run_and_nothing_else():
    reordered = replace(TRIAL, parameters=dict(reversed(TRIAL.parameters.items())))
    assert reordered.id == TRIAL.id
    assert len(TRIAL.id) == 12
    for change in (
        {"dataset": "x"},
        {"dataset_sha256": "cd" * 32},
        {"train_size": None},
        {"model": "rf"},
        {"parameters": {**TRIAL.parameters, "C": 10.5}},
        {"parameters": {**TRIAL.parameters, "flag": 1}},
        {"seed": 4},
        {"threads": 1},
        {"split": "validation"},
    ):
        assert replace(TRIAL, **change).id != TRIAL.id
    assert replace(TRIAL, repeat=2).id == f"{TRIAL.id}-2"


def test_the_id_is_the_same_in_every_process_and_for_ever():
    assert TRIAL.id == "57c21c4e6ea5"
    answer = run_python("print(TRIAL.id)", env={"PYTHONHASHSEED": "77", "PATH": ""})
    assert answer.stdout.strip() == TRIAL.id


def test_derived_seeds_are_independent_of_everything_but_seed_and_axis():
    assert TRIAL.derived_seed("fit") != TRIAL.derived_seed("subset")
    assert TRIAL.derived_seed("fit") == replace(TRIAL, model="rf", train_size=None, repeat=1).derived_seed(
        "fit"
    )
    seeds = [replace(TRIAL, seed=n).derived_seed(axis) for n in range(500) for axis in ("fit", "subset")]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert abs(np.mean(seeds) / 2**30 - 1) < 0.1


# JSON


@pytest.mark.parametrize("value", [TRIAL, MEASUREMENT, QUALITY, RECORD, FAILED, RECORD.environment])
def test_every_type_comes_back_from_json_as_it_was(value):
    assert from_json(type(value), json.loads(json.dumps(to_json(value)))) == value


def test_the_examples_of_this_test_leave_no_field_of_a_type_out(info):
    def types(value: object) -> set[type]:
        if isinstance(value, tuple):
            return set().union(*map(types, value))
        if not is_dataclass(value):
            return set()
        return {type(value)}.union(*(types(getattr(value, f.name)) for f in fields(value)))

    named = {
        Trial,
        Measurement,
        Record,
        Failure,
        ModelInfo,
        RunInfo,
        Batches,
        Inference,
        ColdStart,
        MachineLoad,
    }
    assert named <= types(RECORD) | types(FAILED) | types(info)


def test_a_plan_comes_back_from_its_file(folder, info):
    assert folder.info() == info
    assert folder.name == info.name


def test_unknown_fields_of_a_newer_version_are_left_out():
    values = json.loads(json.dumps(to_json(RECORD)))
    values["colour"] = "red"
    values["trial"]["colour"] = "red"
    assert from_json(Record, values) == RECORD


@given(st.floats(allow_nan=False))
def test_floats_keep_every_bit(value):
    record = replace(RECORD, trial_seconds=value)
    assert from_json(Record, json.loads(json.dumps(to_json(record)))).trial_seconds == value


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


def test_the_kind_of_hold_out_is_part_of_a_trial_only_where_it_judges_the_trial():
    judged = replace(TRIAL, split="validation")
    assert replace(judged, holdout="stratified").id != judged.id
    assert replace(TRIAL, holdout="stratified").id == TRIAL.id


def test_a_trial_of_an_earlier_version_held_out_the_last_images():
    earlier = replace(TRIAL, split="validation")
    values = json.loads(json.dumps(to_json(earlier)))
    del values["holdout"]
    again = from_json(Trial, values)
    assert (again.holdout, again.id) == ("last", earlier.id)


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_parameters_of_every_form_keep_their_trial(parameters):
    trial = replace(TRIAL, parameters=parameters)
    again = from_json(Trial, json.loads(json.dumps(to_json(trial))))
    assert again == trial
    assert again.id == trial.id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("trial", "repeat"), "/../../../etc/passwd"),
        (("trial", "repeat"), True),
        (("trial", "model"), 3),
        (("trial", "parameters"), []),
        (("trial", "parameters"), {"a": {"b": 1}}),
        (("trial",), None),
        (("trial_seconds",), "fast"),
        (("status",), "splendid"),
        (("environment", "libraries"), ["numpy"]),
        (("environment", "libraries"), {"numpy": 2}),
        (("measurement", "warnings"), "text"),
        (("measurement", "inference", "batches"), [1]),
        (("measurement",), []),
    ],
)
def test_a_value_of_another_type_is_damage(folder, path, value):
    values = json.loads(json.dumps(to_json(RECORD)))
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (folder.path / "records.jsonl").write_text(json.dumps(values) + "\n")
    with pytest.raises(MnistbenchError, match="line 1, is damaged"):
        folder.records()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["trial", "status", "id"]), inner),
)


@given(JSON)
def test_no_json_raises_anything_but_type_and_value_errors(values):
    with pytest.raises((TypeError, ValueError)):
        from_json(Record, values)


# The run folder


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


def test_a_torn_last_line_is_ignored_and_cut_off_by_the_next_append(folder):
    folder.append(RECORD, None, b"")
    path = folder.path / "records.jsonl"
    whole = path.read_bytes()
    line = json.dumps(to_json(FAILED)).encode()
    for torn in (line[:1], line[: len(line) // 2], line, b"\0" * 4096, b"\xff"):
        path.write_bytes(whole + torn)
        assert folder.records() == [RECORD]
        folder.append(FAILED, None, b"")
        assert folder.records() == [RECORD, FAILED]
        assert path.read_bytes().startswith(whole)
        assert path.read_bytes().count(b"\n") == 2


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
    code = (
        "folder = RunFolder(Path(sys.argv[1]))\n"
        "try:\n    folder.locked().__enter__()\n"
        "except MnistbenchError as error:\n    sys.exit(str(error))\n"
    )
    with folder.locked():
        answer = run_python(code, folder.path)
        assert answer.returncode == 1
        assert "is in use by another mnistbench; wait for it to end" in answer.stderr
    assert run_python(code, folder.path).returncode == 0
    with folder.locked(), pytest.raises(MnistbenchError, match="is in use"), folder.locked():
        pass


def test_the_lock_goes_with_its_holder_however_it_ends(folder):
    code = "RunFolder(Path(sys.argv[1])).locked().__enter__(); import os; os.kill(os.getpid(), 9)"
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
    code = (
        "import resource\n"
        "folder = RunFolder(Path(sys.argv[1]))\n"
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


@pytest.mark.root
@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_fills_up_keeps_every_record_before(tmp_path, info):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("this root may not mount")
    try:
        folder = RunFolder.create(disk, info)
        kept = []

        def fill() -> None:
            for seed in range(1000):
                record = replace(RECORD, trial=replace(TRIAL, seed=seed))
                folder.append(record, os.urandom(5_000), b"x" * 1000)
                kept.append(record)

        with pytest.raises(OSError, match="No space left"):
            fill()
        assert len(kept) > 3
        assert folder.records() == kept
        assert not list(folder.path.rglob("*.partial"))
    finally:
        subprocess.run(["umount", disk], check=True)


# Predictions


@given(
    npst.arrays(np.int64, st.integers(0, 20)),
    st.none() | st.integers(1, 5),
)
def test_predictions_come_back_as_they_were(labels, columns):
    probabilities = None if columns is None else np.linspace(0, 1, len(labels) * columns).reshape(-1, columns)
    read = decode_predictions(encode_predictions(labels, probabilities))
    assert np.array_equal(read.labels, labels)
    assert read.labels.dtype == np.int64
    if probabilities is None:
        assert read.probabilities is None
    else:
        assert read.probabilities.dtype == np.float32
        assert np.array_equal(read.probabilities, probabilities.astype(np.float32))


def test_the_digest_depends_on_values_alone():
    labels, probabilities = np.array([4, 7, 61]), np.full((3, 2), 0.5)
    read = decode_predictions(encode_predictions(labels, probabilities))
    digest = predictions_digest(read)
    assert digest == predictions_digest(
        decode_predictions(encode_predictions(labels.astype(np.int8), probabilities))
    )
    assert digest != predictions_digest(replace(read, probabilities=None))
    assert digest != predictions_digest(replace(read, labels=read.labels[::-1]))


PACKED = encode_predictions(np.arange(40), np.full((40, 3), 1 / 3))


def saved(**arrays: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def plain_npy() -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


class Trap:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"PK\x03\x04",
        b"<html>404</html>",
        plain_npy(),
        saved(other=np.arange(3)),
        saved(labels=np.arange(3.0)),
        saved(labels=np.zeros((3, 3), dtype=np.int64)),
        saved(labels=np.arange(3), probabilities=np.ones((2, 2), dtype=np.float32)),
        saved(labels=np.arange(3), probabilities=np.ones(3, dtype=np.float32)),
        saved(labels=np.arange(3), probabilities=np.array([["a"], ["b"], ["c"]])),
        PACKED[: len(PACKED) // 2],
    ],
)
def test_a_file_without_predictions_is_refused(packed):
    with pytest.raises(ValueError, match="not a file of predictions"):
        decode_predictions(packed)


def test_nothing_is_ever_unpickled(tmp_path):
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    for packed in (saved(labels=trap), saved(labels=np.arange(1), probabilities=trap), pickle.dumps(trap)):
        with pytest.raises(ValueError, match="not a file of predictions"):
            decode_predictions(packed)
    assert not sprung.exists()


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_value_error(packed):
    with pytest.raises(ValueError, match="not a file of predictions"):
        decode_predictions(packed)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_or_changes_nothing(place, change):
    damaged = bytearray(PACKED)
    damaged[place] ^= change
    try:
        read = decode_predictions(bytes(damaged))
    except ValueError:
        return
    assert np.array_equal(read.labels, np.arange(40))


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
    (newer.path / "labels.npz").write_bytes(b"rubbish")
    with pytest.raises(MnistbenchError, match=r"labels\.npz cannot be read"):
        newer.true_labels()
    assert newer.is_newest_of(tmp_path)
    assert not older.is_newest_of(tmp_path)
    held_out = replace(info, trials=tuple(replace(trial, split="validation") for trial in info.trials))
    assert (info.split, info.is_validation) == ("test", False)
    assert (held_out.split, held_out.is_validation) == ("validation", True)


def test_sizes_and_failures_have_one_wording():
    assert replace(TRIAL, train_size=5000).size_label == "5,000 images"
    assert replace(TRIAL, train_size=None).size_label == "all images"
    assert str(Failure("SIGSEGV", "it crashed")) == "SIGSEGV: it crashed"
