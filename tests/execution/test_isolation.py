"""A trial in a process of its own: whatever a model does there is a record, in time, and nothing is left."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.processes import has_ended, wait_for
from support.trials import CORE, MODELS, job_of, record_of, write_dataset

from mnistbench.datasets import open_arrays
from mnistbench.errors import DataError, MnistbenchError
from mnistbench.execution.isolation import Activity, Interrupted, Job, Outcome, run_trial
from mnistbench.machine import usable_cores
from mnistbench.runs.predictions import decode_predictions
from mnistbench.runs.records import Record, Status

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this")


def marked_processes() -> list[psutil.Process]:
    """Return the processes that bear the mark of a trial that this process started."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"-{os.getpid()}-" in process.environ().get("MNISTBENCH_TRIAL", ""):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def trial_folders(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"mnistbench-*-{pid}-*"))


OK, FAILED, CRASHED, INVALID = Status.OK, Status.FAILED, Status.CRASHED, Status.INVALID
TIMEOUT, OUT_OF_MEMORY, UNAVAILABLE = Status.TIMEOUT, Status.OUT_OF_MEMORY, Status.UNAVAILABLE
FINE = (
    *("constant", "nearest", "printing", "half_precision", "sharing", "escaping", "fleeing", "moving"),
    *("closing_stdout", "replacing_stdout", "leaving_a_thread", "reading", "unpicklable", "warning"),
    *("reporting", "spying", "delegating"),
)
# What must come of a stub model: its status, and what the failure's kind and text say.
FATES = dict.fromkeys(FINE, (OK, "", "")) | {
    "raises_in_import": (FAILED, "RuntimeError", "not today"),
    "raises_in_build": (FAILED, "ValueError", "depth must be positive, not -1"),
    "raising": (FAILED, "ValueError", "no such luck: try again"),
    "raises_in_predict": (FAILED, "KeyError", "'weights'"),
    "unprintable": (FAILED, "UnprintableError", "no message"),
    "leaving": (FAILED, "SystemExit", "0"),
    "exiting": (CRASHED, "exit status 0", "exited with status 0 before it had finished"),
    "crashing": (CRASHED, "SIGSEGV", "killed by SIGSEGV"),
    "aborting": (CRASHED, "SIGABRT", "killed by SIGABRT"),
    "signalling": (CRASHED, "SIGKILL", "killed by SIGKILL, which mnistbench did not send"),
    "removing_results": (CRASHED, "exit status 1", "before it had finished"),
    "forging": (CRASHED, "damaged result", "wrote an unreadable result"),
    "hanging": (TIMEOUT, "time limit", "after 4 s, its time limit, in the phase fit"),
    "stubborn": (TIMEOUT, "time limit", "after 4 s, its time limit, in the phase fit"),
    "wrong_length": (INVALID, "ContractError", r"shape \(59,\); expected \(60,\), one label for each image"),
    "wrong_dtype": (INVALID, "ContractError", "predict returned dtype float64; expected integer"),
    "ragged": (INVALID, "ContractError", "predict returned a list that is not an array"),
    "no_answer": (INVALID, "ContractError", r"predict returned shape \(\); expected \(60,\)"),
    "unknown_labels": (INVALID, "ContractError", "the label 99, which was never passed to fit"),
    "nan_probabilities": (INVALID, "ContractError", "not finite floating-point numbers"),
    "wrong_sums": (INVALID, "ContractError", "each must sum to 1"),
    "wrong_columns": (INVALID, "ContractError", r"shape \(60, 1\); expected \(60, 10\)"),
    "disagreeing": (INVALID, "ContractError", "disagree on 60 of 60 images: the predicted label"),
    "no_fit": (INVALID, "ContractError", "`build` returned a object, which has no method fit"),
    "rebound": (INVALID, "ContractError", "no function `build` after its import"),
    "allocating": (OUT_OF_MEMORY, "memory limit", "in the phase fit; its memory limit is 400 MiB"),
    "asking_too_much": (OUT_OF_MEMORY, "MemoryError", "Unable to allocate"),
    "missing_library": (UNAVAILABLE, "ModuleNotFoundError", "No module named 'no_such_library'"),
}
LIMITS = {
    "hanging": {"timeout_seconds": 4},
    "stubborn": {"timeout_seconds": 4},
    "allocating": {"memory_limit_bytes": 400 * 2**20},
    "sharing": {"memory_limit_bytes": 450 * 2**20},
}


@dataclass(frozen=True)
class Ran:
    job: Job
    outcome: Outcome
    seconds: float
    activities: list[Activity]

    @property
    def record(self) -> Record:
        return self.outcome.record(self.job, beside=0)


@pytest.fixture(scope="module")
def ran(make_job) -> dict[str, Ran]:
    """Run every stub model, four at a time: most of them wait."""

    def run_one(name: str) -> Ran:
        activities: list[Activity] = []
        job = make_job(name, **LIMITS.get(name, {}))
        before = time.monotonic()
        outcome = run_trial(job, CORE, activities.append)
        return Ran(job, outcome, time.monotonic() - before, activities)

    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(FATES, pool.map(run_one, FATES), strict=True))


@pytest.mark.parametrize("name", FATES)
def test_every_model_ends_as_a_record_with_the_reason(name, ran, record_property):
    (status, kind, text), outcome, record = FATES[name], ran[name].outcome, ran[name].record
    record_property("did", f"{record.status}: {record.failure.message}" if record.failure else "ok")
    assert record.status is status, record.failure
    if status is OK:
        assert record.failure is None
        assert record.quality.test_count == 60
        assert record.measurement.train_images == 240
        assert len(record.predictions_sha256) == 64
        assert decode_predictions(outcome.predictions).labels.shape == (60,)
    else:
        assert record.failure.kind.endswith(kind)
        assert re.search(text, record.failure.message)
        assert "\n" not in record.failure.message
        assert (
            record.measurement is record.quality is record.predictions_sha256 is outcome.predictions is None
        )


def test_no_model_leaves_a_process_or_a_file_behind(ran):
    assert marked_processes() == []
    assert trial_folders(os.getpid()) == []
    children = re.search(rb"children (\d+) (\d+)", ran["escaping"].outcome.log)
    for child in children.groups():
        assert not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == "zombie"


@pytest.mark.slow  # and hard on whatever runs beside it
def test_a_model_that_forks_without_end_is_stopped(make_job):
    outcome = run_trial(make_job("multiplying"), CORE)
    assert outcome.status is FAILED
    assert re.search("with [0-9,]+ processes in the phase fit; its limit is", outcome.failure.message)
    assert marked_processes() == []


@pytest.mark.parametrize("name", ["hanging", "stubborn"])
def test_a_time_limit_is_kept_whatever_the_model_ignores(name, ran):
    assert 4 <= ran[name].seconds < 12  # the limit, three seconds of grace, and a busy machine


def test_what_a_child_does_is_counted_as_the_trials_work(ran):
    working = [activity.busy_cores for activity in ran["delegating"].activities if activity.phase == "fit"]
    # Its own process waits; four trials and whatever else runs here share the core with the child.
    assert max(working) > 0.1


def test_the_log_keeps_the_beginning_and_the_end(ran):
    log = ran["printing"].outcome.log
    assert log.startswith(b"the very first line\n")
    assert log.rstrip().endswith(b"the very last line")
    assert len(log) < 300_000
    left_out = int(re.search(rb"\n\.\.\. ([\d,]+) bytes left out \.\.\.\n", log)[1].replace(b",", b""))
    assert left_out + 2 * 128 * 1024 == 6_400_000 + len(b"the very first line\nthe very last line\n")


def test_a_failure_keeps_its_traceback_in_the_record_and_in_the_log(ran):
    outcome = ran["raising"].outcome
    assert 'raise ValueError("no such luck' in outcome.failure.traceback
    assert b"stub.py" in outcome.log
    assert b"Fatal Python error: Segmentation fault" in ran["crashing"].outcome.log


def test_probabilities_in_half_precision_are_accepted(ran):
    predictions = decode_predictions(ran["half_precision"].outcome.predictions)
    assert predictions.probabilities.dtype == np.float32
    assert ran["half_precision"].record.quality.log_loss > 0


def test_a_model_that_cannot_be_saved_has_no_size(ran):
    assert ran["unpicklable"].outcome.measurement.model_bytes is None
    assert ran["nearest"].outcome.measurement.model_bytes > 10 * 30 * 4


def test_warnings_are_kept_once_each_and_not_without_end(ran):
    kept = ran["warning"].outcome.measurement.warnings
    assert kept[:2] == ("RuntimeWarning: warning 0 of many", "RuntimeWarning: warning 1 of many")
    assert len(kept) == 20


def test_progress_engine_and_device_are_reported(ran):
    activities = ran["reporting"].activities
    rounds = [a.done for a in activities if a.done is not None]
    assert rounds == sorted(rounds)
    assert len(set(rounds)) >= 3
    assert {(a.total, a.unit, a.phase) for a in activities if a.done is not None} == {(8, "round", "fit")}
    assert max(a.rss_bytes for a in activities) > 10 * 2**20
    assert activities[-1].elapsed_seconds > 1
    measured = ran["reporting"].outcome.measurement
    assert (measured.engine, measured.device) == ("stub engine 1.0", "an abacus")
    assert ran["nearest"].outcome.measurement.engine == "its own code"


def test_a_model_learns_and_its_measurement_is_plausible(ran):
    record = ran["nearest"].record
    measured = record.measurement
    assert record.quality.accuracy == 1
    assert measured.train_accuracy == 1
    assert 0 < measured.fit_seconds < 5
    assert 0 <= measured.fit_cpu_seconds < measured.fit_seconds + 0.1
    assert 0 < measured.first_predict_seconds < 5
    assert measured.import_seconds > 0
    assert measured.load_seconds > 0
    assert 10 * 2**20 < measured.baseline_rss_bytes <= measured.peak_rss_bytes < 2**30
    if sys.platform.startswith("linux"):
        assert measured.memory_source == "VmHWM"
    assert record.trial_seconds > measured.import_seconds + measured.load_seconds + measured.fit_seconds


def test_memory_of_a_process_tree_counts_shared_pages_once(ran):
    measured = ran["sharing"].outcome.measurement
    assert 128 * 2**20 < measured.peak_rss_bytes < 450 * 2**20


def test_build_gets_what_it_asks_for(make_job):
    job = make_job("nearest", seed=3, parameters={"power": 0.5})
    asked = f"seed={job.trial.derived_seed('fit')} threads=1 image_shape=(6, 5) power=0.5"
    assert asked.encode() in run_trial(job, CORE).log


def seen_by(outcome: Outcome) -> tuple[dict, set[str]]:
    """Return what the model `spying` saw, and the values of the variables for the number of threads."""
    seen = json.loads(re.search(rb"SEEN (.*)", outcome.log)[1])
    return seen, {value for name, value in seen.items() if name.isupper()}


@linux
def test_cores_threads_folder_and_session_are_set_before_the_process_starts(ran):
    seen, threads = seen_by(ran["spying"].outcome)
    assert seen["cores"] == list(CORE)
    assert seen["session"]
    assert Path(seen["folder"]).name == "work"
    assert f"-{os.getpid()}-" in seen["folder"]
    assert threads == {"1"}


def test_thread_variables_follow_the_number_of_cores(make_job):
    cores = usable_cores()
    if len(cores) < 2:
        pytest.skip("this machine gives one core")
    seen, threads = seen_by(run_trial(make_job("spying", threads=2), cores[:2]))
    assert (threads, seen["cores"]) == ({"2"}, list(cores[:2]))


def test_a_trial_leaves_the_cores_that_other_programs_keep_busy(make_job, busy_core):
    cores = usable_cores()[:2]
    outcome = run_trial(replace(make_job("spying", threads=2), fixed_threads=False), cores)
    seen, threads = seen_by(outcome)
    assert threads == {"1"}
    assert len(seen["cores"]) == outcome.measurement.threads_used == 1


def test_labels_with_gaps_come_back_as_they_were(make_job, tmp_path):
    classes = (-3, 4, 7, 9, *range(11, 38), 61)
    data = write_dataset(tmp_path, classes, train_count=640, test_count=96, image_shape=(9, 7))
    job = make_job("nearest", dataset=data, train_size=100)
    outcome = run_trial(job, CORE)
    accuracy = outcome.record(job, beside=0).quality.accuracy
    assert outcome.status is OK, outcome.failure
    predicted = decode_predictions(outcome.predictions).labels
    assert set(predicted) <= set(classes)
    assert 61 in predicted
    assert np.mean(predicted == open_arrays(tmp_path).y_test) == accuracy > 0.9
    assert outcome.measurement.train_images == 100


def test_the_validation_split_is_judged_by_training_images(make_job):
    record = record_of(make_job("nearest", split="validation"))
    assert record.quality.test_count == 40
    assert record.measurement.train_images == 200


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def build(:", "broken.py is not valid Python (line 1): invalid syntax"),
        ("x = 1", "broken.py has no function `build`"),
        ("def build(*a): ...", "broken.py `build` may not take *args"),
    ],
)
def test_a_broken_file_is_invalid_without_a_process(make_job, tmp_path, monkeypatch, source, reason):
    path = tmp_path / "broken.py"
    path.write_text(source)
    job = make_job(path)
    monkeypatch.setattr(subprocess, "Popen", None)
    record = run_trial(job, CORE)
    assert record.status is INVALID
    assert reason in record.failure.message
    assert record.trial_seconds < 1


def test_no_bytecode_is_written_beside_a_model_nor_read_from_there(make_job, tmp_path):
    path = Path(shutil.copy(MODELS / "constant.py", tmp_path))
    assert run_trial(make_job(path), CORE).status is OK
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["hanging", "stubborn"])
def test_a_stop_ends_a_trial_soon_and_leaves_no_record(name, make_job):
    stop = threading.Event()
    phases = []

    def stop_in_fit(activity: Activity) -> None:
        phases.append(activity.phase)
        if activity.phase == "fit":
            stop.set()
            phases.append(time.monotonic())

    with pytest.raises(Interrupted):
        run_trial(make_job(name), CORE, stop_in_fit, stop)
    assert time.monotonic() - phases[-1] < 8
    assert marked_processes() == []
    assert trial_folders(os.getpid()) == []


def test_a_stop_before_the_start_starts_nothing(make_job, monkeypatch):
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(Interrupted):
        run_trial(make_job("constant"), CORE, stop=stop)


def test_arrays_that_are_gone_stop_the_run_rather_than_fail_each_trial(make_job, dataset, tmp_path):
    with pytest.raises(DataError, match="missing"):
        run_trial(make_job("constant", dataset=replace(dataset, arrays_folder=str(tmp_path))), CORE)


def test_an_unavailable_temporary_folder_is_reported(make_job, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(MnistbenchError, match=r"temporary files cannot be written to .*gone"):
        run_trial(make_job("constant"), CORE)


def test_nothing_stays_open_after_many_trials(make_job):
    run_trial(make_job("constant"), CORE)
    gc.collect()
    process = psutil.Process()
    files, threads = process.num_fds() if os.name == "posix" else 0, threading.active_count()
    for name in ("constant", "exiting", "missing_library"):
        run_trial(make_job(name), CORE)
    gc.collect()
    assert (process.num_fds() if os.name == "posix" else 0) <= files
    assert threading.active_count() <= threads
    assert process.children() == []


PARENT = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
from support.trials import job_of, write_dataset
from mnistbench.execution.isolation import run_trial
data = write_dataset(Path(sys.argv[1]))
job = job_of(sys.argv[2], dataset=data, timeout_seconds=120)
run_trial(job, {core!r}, lambda activity: print(activity.phase, flush=True))
"""


def run_in_another_parent(folder: Path, model: str) -> subprocess.Popen[str]:
    """Start a parent that runs the trial and prints its phases, with its temporary files in `folder`."""
    code = PARENT.format(tests=str(Path(__file__).parents[1]), core=CORE)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "data"), model],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


@linux
def test_a_killed_parent_takes_its_trial_along_and_the_next_one_clears_up(tmp_path):
    with run_in_another_parent(tmp_path, "outliving_its_parent") as parent:
        assert any(line.strip() == "fit" for line in parent.stdout)
        (worker,) = psutil.Process(parent.pid).children()
        (stray,) = wait_for(worker.children)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: has_ended(worker))
    (left,) = tmp_path.glob("mnistbench-*")
    assert f"-{parent.pid}-" in left.name
    with run_in_another_parent(tmp_path, "constant") as following:
        following.communicate()
    assert following.returncode == 0
    assert not left.exists()
    wait_for(lambda: has_ended(stray))


def test_a_living_run_is_not_cleared_away(tmp_path):
    with run_in_another_parent(tmp_path, "hanging") as first:
        assert any(line.strip() == "fit" for line in first.stdout)
        with run_in_another_parent(tmp_path, "constant") as second:
            second.communicate()
        assert second.returncode == 0
        (kept,) = tmp_path.glob("mnistbench-*")
        assert (kept / "request.json").is_file()
        (worker,) = psutil.Process(first.pid).children()
        assert worker.is_running()
        first.kill()
        first.wait()
    wait_for(lambda: has_ended(worker))


@pytest.mark.root
@linux
def test_a_kill_by_the_kernel_is_reported_as_out_of_memory(tmp_path):
    group = Path("/sys/fs/cgroup/memory") / f"mnistbench-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(250 * 2**20))
    except OSError:
        pytest.skip("this user cannot make a memory cgroup (version 1) here")
    code = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\n" + PARENT.replace(
        "run_trial(job", "outcome = run_trial(job"
    ).format(tests=str(Path(__file__).parents[1]), core=CORE)
    code += "print(outcome.status, outcome.failure.message)"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "data"), "allocating"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
    last = answer.stdout.splitlines()[-1]
    assert last.startswith("out_of_memory its process was killed by the kernel"), answer


def test_what_a_budget_has_no_time_for_is_left_out_and_what_takes_longer_is_stopped(dataset):
    began = time.monotonic()
    deadline = began + 6
    unstarted, stopped = (
        record_of(job_of("hanging", dataset=dataset, deadline=deadline, expected_seconds=seconds))
        for seconds in (30, 0)
    )
    assert time.monotonic() - began < 6 + 4  # to end a process
    assert unstarted.status is Status.LEFT_OUT
    assert str(unstarted.failure).startswith("time budget: was not started: it would take about 30.0 s, and ")
    assert stopped.status is Status.TIMEOUT
    assert stopped.failure.kind == "time budget"
