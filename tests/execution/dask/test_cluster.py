"""Trials on a Dask cluster: a real scheduler and real workers, processes of their own on the loopback."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support.dask_processes import Dask
from support.processes import wait_for
from support.shell import Shell

from mnistbench.datasets import resolve
from mnistbench.errors import DataError, MnistbenchError, UsageError
from mnistbench.execution.dask import cluster as cluster_module
from mnistbench.execution.dask import workers
from mnistbench.execution.dask.cluster import Cluster, connect
from mnistbench.execution.isolation import Job
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Record, Status

pytest.importorskip("distributed", reason="needs the extra: pip install 'mnistbench[distributed]'")


class Watching:
    """An observer that keeps starts and activities."""

    def __init__(self) -> None:
        self.starts = 0
        self.activities = []

    def started(self, trial) -> None:
        self.starts += 1

    def activity(self, trial, activity) -> None:
        self.activities.append(activity)

    def finished(self, record) -> None: ...


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory) -> Iterator[Dask]:
    """Two workers, the first of which has a library, and a version of another, that the second has not."""
    folder = tmp_path_factory.mktemp("dask")
    library = folder / "library"
    (library / "threadpoolctl-0.0.1.dist-info").mkdir(parents=True)
    (library / "threadpoolctl-0.0.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: threadpoolctl\nVersion: 0.0.1\n"
    )
    (library / "onetree.py").write_text("")
    with Dask(folder) as dask:
        dask.start_worker(PYTHONPATH=str(library))
        dask.start_worker()
        yield dask


@pytest.fixture
def cluster(two_workers) -> Iterator[Cluster]:
    with connect(two_workers.address, offline=True) as connected:
        wait_for(lambda: len(connected._workers.present()) == 2)
        yield connected


@pytest.fixture
def dask(tmp_path) -> Iterator[Dask]:
    """A scheduler of the test's own, for its workers to be killed."""
    with Dask(tmp_path) as own:
        yield own


@pytest.fixture
def watching() -> Watching:
    return Watching()


def record_on(cluster: Cluster, job: Job, observer: Watching | None = None) -> Record:
    (finished,) = cluster.run_trials([job], observer or Watching())
    return finished.record()


def test_a_trial_is_isolated_and_measured_as_locally(cluster, make_job, watching):
    record = record_on(cluster, make_job("nearest"), watching)
    assert record.status is Status.OK
    assert record.quality.accuracy == 1.0
    assert (record.attempts, record.beside) == (1, 0)
    assert record.predictions_sha256
    assert {activity.phase for activity in watching.activities} & {"start", "import", "fit", "evaluate"}


def test_a_model_travels_with_what_it_imports_and_its_traceback_names_its_file(cluster, make_job):
    importing, raising = (record_on(cluster, make_job(name)) for name in ("pooled", "raising"))
    assert importing.failure is None
    assert importing.quality.accuracy == 1.0
    assert raising.status is Status.FAILED
    assert "stub.py" in raising.failure.traceback


def test_a_model_that_is_gone_from_the_sending_machine_is_invalid(cluster, make_job, watching, tmp_path):
    path = tmp_path / "gone.py"
    path.write_text("def build(): ...")
    job = make_job(path)
    job.model.path.unlink()
    record = record_on(cluster, job, watching)
    assert record.status is Status.INVALID
    assert "gone.py cannot be read" in record.failure.message


def test_a_time_limit_is_kept_on_the_worker(cluster, make_job, watching, two_workers):
    record = record_on(cluster, make_job("hanging", timeout_seconds=2), watching)
    assert record.status is Status.TIMEOUT
    assert not two_workers.processes()


def test_a_stopped_trial_is_killed_on_the_worker(cluster, make_job, watching, two_workers):
    def interrupt(trial, activity) -> None:
        raise KeyboardInterrupt

    watching.activity = interrupt
    with pytest.raises(KeyboardInterrupt):
        record_on(cluster, make_job("hanging"), watching)
    wait_for(lambda: not two_workers.processes(), 10)
    assert record_on(cluster, make_job("constant")).beside == 0


def test_a_library_that_one_worker_has_places_the_trial_there(cluster, make_job, watching, tmp_path):
    job = make_job("located")
    for _ in range(3):
        record = record_on(cluster, job, watching)
        assert record.status is Status.OK
        assert record.environment.libraries["threadpoolctl"] == "0.0.1"


def test_a_library_that_no_worker_has_makes_the_trial_unavailable(cluster, make_job, watching):
    record = record_on(cluster, make_job("missing_library"), watching)
    assert record.status is Status.UNAVAILABLE
    assert watching.starts == 2


def test_a_worker_reads_the_data_set_into_its_own_cache(cluster, make_job, two_workers, tmp_path):
    digits = resolve("digits", cache=tmp_path)
    job = make_job("constant", dataset=replace(digits, arrays_folder="/nonexistent"))
    (finished,) = cluster.run_trials([replace(job, dataset_spec="digits")], Watching())
    assert finished.outcome.status is Status.OK
    assert list(two_workers.folder.glob("cache-*/digits*"))


def test_a_shared_folder_is_believed_only_after_a_check(cluster, make_job, dataset, monkeypatch):
    monkeypatch.setattr(cluster_module, "_NO_WORKER_SECONDS", 1)
    changed = replace(dataset, sha256="0" * 64)
    job = replace(make_job("constant", dataset=changed), dataset_spec="digits")
    with pytest.raises(DataError, match="other images here"):
        record_on(cluster, job)


def test_trials_of_one_machine_get_cores_of_their_own(cluster, make_job, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    jobs = [make_job("noting-10", parameters={"folder": str(notes)}, seed=seed) for seed in range(3)]
    assert cluster.side_by_side([job.trial for job in jobs]) == min(2, len(os.sched_getaffinity(0)))
    records = [finished.record() for finished in cluster.run_trials(jobs, Watching())]
    found = [json.loads(path.read_text()) for path in notes.iterdir()]
    assert len(found) == 3
    for one in found:
        assert len(one["cores"]) == 1
        for other in found:
            if one is not other and one["began"] < other["ended"] and other["began"] < one["ended"]:
                assert one["cores"] != other["cores"]
    if len(os.sched_getaffinity(0)) > 1:
        # The first two run side by side; the third does if they do not end in the same moment.
        assert sorted(record.beside for record in records)[1:] == [1, 1]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_wide_trial_is_not_overtaken_by_narrow_ones(cluster, make_job, watching, tmp_path):
    jobs = [
        make_job("noting-10", parameters={"folder": str(tmp_path)}, seed=seed, threads=threads)
        for seed, threads in enumerate([1, len(os.sched_getaffinity(0)), 1])
    ]
    started = []
    watching.started = started.append
    records = [finished.record() for finished in cluster.run_trials(jobs, watching)]
    assert [trial.seed for trial in started] == [0, 1, 2]
    assert [record.beside for record in records] == [0, 0, 0]


def test_the_task_of_a_trial_has_its_name_which_the_dashboard_shows(cluster, make_job, watching):
    job = make_job("reporting")
    found = set()
    watching.activity = lambda *_: found.update(
        k for keys in cluster._client.processing().values() for k in keys
    )
    record_on(cluster, job, watching)
    (name,) = found
    assert name.startswith(f"{job.trial.model}, all images, seed 0, {job.trial.id}-")


def test_a_trial_wider_than_any_worker_is_refused(cluster, make_job):
    with pytest.raises(UsageError, match=r"no worker of .* has more than"):
        cluster.side_by_side([make_job("constant", threads=1000).trial])


def test_a_trial_survives_the_death_of_its_worker_once(dask, make_job, watching, lives):
    job = make_job("fateful", parameters={"folder": str(lives)})
    dask.start_worker()
    with connect(dask.address) as cluster:
        cluster._workers.some()
        dask.start_worker()
        threading.Thread(target=lambda: (wait_for(lambda: not any(lives.iterdir())), kill_busy(dask))).start()
        record = record_on(cluster, job, watching)
    assert (record.status, record.attempts, watching.starts) == (Status.OK, 2, 2)


@pytest.mark.slow
def test_the_second_death_of_its_worker_is_the_trials_end(dask, make_job, watching, lives):
    job = make_job("fateful", parameters={"folder": str(lives)})

    def kill_twice() -> None:
        for _ in range(2):
            wait_for(lambda: not any(lives.iterdir()))
            kill_busy(dask)
            (lives / "2").touch()

    dask.start_worker("--nanny")  # which starts a worker again
    with connect(dask.address) as cluster:
        threading.Thread(target=kill_twice).start()
        record = record_on(cluster, job, watching)
    assert (record.status, record.attempts, watching.starts) == (Status.CRASHED, 2, 2)
    assert "were lost" in record.failure.message


def kill_busy(dask: Dask) -> None:
    """Kill the worker that runs a trial, as a machine's loss of power would."""
    (trial,) = dask.trials()
    psutil.Process(trial.ppid()).kill()


@pytest.mark.slow
def test_a_worker_that_cannot_load_mnistbench_gets_no_trials(dask, make_job, tmp_path, caplog):
    broken = tmp_path / "broken" / "mnistbench"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('half installed')")
    dask.start_worker(PYTHONPATH=str(broken.parent))
    with connect(dask.address) as cluster:
        with pytest.raises(MnistbenchError, match=r"has no worker that can run trials.*half installed"):
            cluster.share()
        dask.start_worker()
        wait_for(cluster._workers.present)
        record = record_on(cluster, make_job("constant"))
    assert record.status is Status.OK
    assert "will not be used" in caplog.text


def test_a_worker_that_hangs_before_it_says_what_it_is_holds_up_no_other(dask, monkeypatch, caplog):
    monkeypatch.setattr(workers, "_ANSWER_SECONDS", 2)
    hung = dask.start_worker()
    with connect(dask.address) as cluster:
        wait_for(cluster._client.ncores)
        hung.send_signal(signal.SIGSTOP)
        dask.start_worker()
        wait_for(lambda: len(cluster._client.ncores()) == 2)
        assert len(cluster._workers.some()) == 1
    assert "will not be used: it did not answer within 2 s" in caplog.text


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell.made(tmp_path / "place")


def start(shell: Shell, address: str, *arguments: object) -> subprocess.Popen[str]:
    """Start `mnistbench run` on a cluster, as a user would."""
    return shell.start("run", "--backend", "dask", "--scheduler", address, *arguments)


def new(shell: Shell, *ways: str) -> list[object]:
    """Return the arguments of a run of `stub.py` in these ways."""
    return [*shell.new("--timeout", "60", "--only", "stub", "--set", f"stub.how={','.join(ways)}")[1:]]


@pytest.fixture
def lives(tmp_path) -> Path:
    """A folder with one life left."""
    (tmp_path / "lives").mkdir()
    (tmp_path / "lives" / "1").touch()
    return tmp_path / "lives"


def records_in(shell: Shell) -> list:
    paths = list(shell.results.glob("*/run.json"))
    return RunFolder(paths[0].parent).records() if paths else []


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_with_its_records_kept_and_it_resumes(dask, shell, lives):
    dask.start_worker()
    plan = new(shell, "steady", "fateful", "reading")
    process = start(shell, dask.address, *plan, "--set", f"stub.folder={lives}")
    wait_for(lambda: len(records_in(shell)) == 1 and not any(lives.iterdir()))
    dask.scheduler.kill()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    assert f"connection to the Dask scheduler {dask.address} is lost" in err
    assert "--resume --backend dask --scheduler" in err
    assert "Traceback" not in err
    assert [record.trial.parameters["how"] for record in records_in(shell)] == ["steady"]
    wait_for(lambda: not dask.processes(), 15)

    dask.start_scheduler()
    dask.start_worker()
    process = start(shell, dask.address, "--resume", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["parameters"]["how"] for row in rows] == ["fateful", "reading"]


@pytest.mark.slow
def test_ctrl_c_and_kill_leave_no_process_on_the_workers(two_workers, shell):
    for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = start(shell, two_workers.address, *new(shell, "hanging"))
        wait_for(two_workers.trials)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert process.returncode == status, err
        if number == signal.SIGINT:
            assert f"run --backend dask --scheduler {two_workers.address} --resume" in err
        wait_for(lambda: not two_workers.processes(), 15)


@pytest.mark.slow
def test_the_report_lists_which_versions_ran(two_workers, shell):
    plan = shell.new("--timeout", "60", "--only", "located,constant,nearest", "--quiet")[1:]
    process = start(shell, two_workers.address, *plan)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    page = (shell.results / "report.md").read_text(encoding="utf-8")
    assert "threadpoolctl 0.0.1" in page


@pytest.mark.slow
def test_workers_train_on_synthetic_images_too(two_workers, shell):
    wanted = ("--only", "nearest,constant", "--train-size", "60,300")  # of 120 that there are
    process = start(shell, two_workers.address, *shell.new(*wanted)[1:])
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    trained = [(r.trial.train_size, r.trial.synthetic, r.measurement.train_images) for r in records_in(shell)]
    assert sorted(trained) == [(60, 0, 60)] * 2 + [(300, 180, 300)] * 2
    planned = shell.done(
        *shell.new(*wanted, command="plan"), "--backend", "dask", "--scheduler", two_workers.address
    )
    assert "4 trials" in planned


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "dask"], "needs --scheduler"),
        (["--scheduler", "tcp://127.0.0.1:1"], "add --backend dask"),
        (["--backend", "dask", "--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"], "each worker runs one"),
        (["--backend", "dask", "--scheduler", "nonsense://x"], "is not an address"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_gets_one_clear_message(arguments, words, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "mnistbench", "run", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 2, answer.stderr
    assert words in answer.stderr


def test_a_run_without_a_scheduler_reports_it(monkeypatch):
    monkeypatch.setattr(cluster_module, "_CONNECT_SECONDS", 1)
    with pytest.raises(MnistbenchError, match="no Dask scheduler answers"), connect("tcp://127.0.0.1:1"):
        pass
