"""The fault matrix of a run: whatever happens to it, no finished result is lost and it can be gone on with.

The faults of models are in test_isolation.py, those of data in tests/datasets. `make faults` runs them
all and prints the table.
"""

import ast
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.shell import Shell
from support.trials import MODELS, write_npz

from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Record

CLOCK = Path(__file__).parents[1] / "support" / "clock"
PACKAGE = Path(__file__).parents[2] / "mnistbench"


def stubs(*ways: str) -> tuple[str, str, str, str]:
    """Return the options that run `stub.py` in these ways."""
    return ("--only", "stub", "--set", f"stub.how={','.join(ways)}")


WAYS = ("steady-0", "steady-1", "raising-0", "breeding-0", "crashing-0")
PLAN = stubs(*WAYS)
TRIALS = len(WAYS)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this")


class Bench(Shell):
    """A place of its own for runs: results, cache, temporary files, and the processes that come from it."""

    def __init__(self, folder: Path, data: Path, results: Path | None = None) -> None:
        super().__init__(folder)
        self.models, self.data = MODELS, data
        self.place_of_results = results or folder / "results"
        self.temporary = folder / "temporary"
        self.temporary.mkdir(parents=True)
        self.starts = folder / "starts"
        self.starts.touch()
        self.environment = {
            "FAULTS_STARTS": str(self.starts),
            "FAULTS_RESULTS": str(self.results),
            "FAULTS_DISK": str(self.results.parent),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "400",
        }

    @property
    def results(self) -> Path:
        return self.place_of_results

    def start(self, *arguments: object, **options: object) -> subprocess.Popen[str]:
        return super().start(*arguments, "--results", self.results, env=self.environment, **options)

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        answer = super().__call__(*arguments)
        assert "Traceback" not in answer.stderr, answer.stderr
        answer.stderr = " ".join(answer.stderr.split())
        return answer

    def new(self, *arguments: object, name: str = "it") -> list[object]:
        return super().new("--name", name, *arguments)

    def folder(self, name: str = "it") -> RunFolder:
        return RunFolder(self.results / name)

    def processes(self) -> list[psutil.Process]:
        """Return every living process that this place's runs have started, and the runs themselves."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("FAULTS_STARTS") == str(self.starts)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def started(self) -> Counter[str]:
        """Return how often each trial was started."""
        return Counter(self.starts.read_text().splitlines())

    def assert_nothing_left(self) -> None:
        assert self.processes() == []
        assert [path.name for path in self.temporary.glob("mnistbench-*")] == []


def label(record: Record) -> str:
    """Name a trial as its model notes its start."""
    return record.trial.parameters["how"]


def results_of(folder: RunFolder) -> dict[str, object]:
    """Return all of a run that is the same each time: how its trials ended, and what they predicted."""
    return {
        record.trial.id: (
            record.status,
            record.failure and (record.failure.kind, record.failure.message),
            record.quality and record.quality.accuracy,
            record.predictions_sha256 and folder.predictions(record.trial.id).labels.tolist(),
        )
        for record in folder.records()
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Ten classes of 6 x 5 images, 240 to train with and 60 to test with, as an .npz."""
    return write_npz(tmp_path_factory.mktemp("data") / "noise.npz")


@pytest.fixture
def bench(tmp_path, data) -> Bench:
    return Bench(tmp_path, data)


@dataclass(frozen=True)
class Undisturbed:
    bench: Bench
    results: dict[str, object]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data) -> Undisturbed:
    """Run the plan once without any fault."""
    bench = Bench(tmp_path_factory.mktemp("undisturbed"), data)
    before = time.monotonic()
    answer = bench(*bench.new(*PLAN))
    assert answer.returncode == 1, answer.stderr  # one trial raises, one dies
    results = results_of(bench.folder())
    assert len(results) == TRIALS
    assert [str(result[0]) for result in results.values()] == ["ok", "ok", "failed", "ok", "crashed"]
    assert bench.started() == dict.fromkeys(WAYS, 1)
    bench.assert_nothing_left()
    return Undisturbed(bench, results, time.monotonic() - before)


# What a Ctrl-C while Python itself starts makes it say, which ends with status 1.
PYTHON_NOT_STARTED = ("Fatal Python error: init_", "Could not import runpy module")


class Disturbed:
    """A run that is ended again and again at random moments, and gone on with each time."""

    def __init__(self, bench: Bench, undisturbed: Undisturbed, seed: int) -> None:
        self._bench = bench
        self._undisturbed = undisturbed
        self._draw = random.Random(seed)
        self._jobs = 1 + seed % 2
        self._runs = 0

    def disturb(self, times: int, number: int) -> None:
        """Send a signal so many times, in as many runs as it takes; each must end as if undisturbed."""
        while times > 0:
            self._runs += 1
            name = f"it-{self._runs}"
            self._bench.starts.write_text("")
            folder = self._bench.folder(name)
            recorded: dict[str, int] = {}
            kept = b""
            while True:
                # A run that is gone on with is shorter; most signals should find it alive.
                share = 0.6 if (folder.path / "run.json").exists() else 1
                moment = self._draw.uniform(0, share * self._undisturbed.seconds) if times > 0 else 200
                ended = self._call(name, moment, number)
                times -= not ended
                if (folder.path / "run.json").exists():
                    content = (folder.path / "records.jsonl").read_bytes() if folder.records() else b""
                    assert content.startswith(kept)
                    kept = content[: content.rfind(b"\n") + 1]
                    started = self._bench.started()
                    for record in folder.records():
                        recorded.setdefault(label(record), started[label(record)])
                if number == signal.SIGINT:
                    self._bench.assert_nothing_left()
                if ended:
                    break
            assert results_of(folder) == self._undisturbed.results
            assert kept.count(b"\n") == TRIALS  # none was recorded twice
            assert self._bench.started() == recorded  # none was started once its record was there
            assert not [*folder.path.glob("logs/.*"), *folder.path.glob("predictions/.*")]
            assert {"labels.npz", "report.md"} <= {path.name for path in folder.path.iterdir()}
            self._bench.assert_nothing_left()

    def _call(self, name: str, moment: float, number: int) -> bool:
        """Start the run, or go on with it, and send the signal; return whether it had ended before."""
        planned = (self._bench.folder(name).path / "run.json").exists()
        new = self._bench.new(*PLAN, "--jobs", self._jobs, name=name)
        process = self._bench.start(
            *(["run", "--resume", name] if planned else new), stdout=subprocess.DEVNULL
        )
        try:
            _, err = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
            if err.startswith(PYTHON_NOT_STARTED):
                return False
            if process.returncode != 1:
                if number == signal.SIGINT and planned:
                    # Python itself dies by the signal while it starts or ends: shells say 130 to both.
                    assert process.returncode in (130, -signal.SIGINT), err
                    assert "Traceback" not in err or process.returncode == -signal.SIGINT, err
                return False
        assert process.returncode == 1, err
        return True


def disturb_side_by_side(
    folder: Path, data: Path, undisturbed: Undisturbed, times: int, number: int, parts: int
) -> None:
    def one(seed: int) -> None:
        bench = Bench(folder / str(seed), data)
        try:
            Disturbed(bench, undisturbed, seed).disturb(times // parts, number)
        finally:
            for process in bench.processes():
                process.kill()

    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(one, range(parts)))


@linux
def test_a_run_killed_at_2_moments_loses_nothing(tmp_path, data, undisturbed, record_property):
    disturb_side_by_side(tmp_path, data, undisturbed, 2, signal.SIGKILL, 1)
    record_property("did", "so after 2 kills")


@linux
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_killed_at_100_moments_loses_nothing(tmp_path, data, undisturbed, record_property):
    disturb_side_by_side(tmp_path, data, undisturbed, 100, signal.SIGKILL, 4)
    record_property("did", "so after 100 kills, of runs with --jobs 1 and --jobs 2")


@linux
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_interrupted_at_20_moments_loses_nothing(tmp_path, data, undisturbed, record_property):
    disturb_side_by_side(tmp_path, data, undisturbed, 20, signal.SIGINT, 2)
    record_property("did", "so after 20 times")


# Disks


def mounted(folder: Path, *options: str) -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("this root may not mount")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MiB."""
    disk = tmp_path / "disk"
    mounted(disk, "-t", "tmpfs", "-o", "size=2m", "tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def on_small_disk(tmp_path, data, small_disk) -> Bench:
    return Bench(tmp_path, data, small_disk / "results")


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        for _ in range(2**12):
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0
    return ballast


@pytest.mark.root
@pytest.mark.parametrize("pages", [0, *(pytest.param(pages, marks=pytest.mark.slow) for pages in (1, 2, 4))])
def test_a_disk_that_fills_up_in_mid_run_loses_nothing(on_small_disk, small_disk, pages, record_property):
    bench = on_small_disk
    ways = ("raising-0", f"spilling-{pages}", "steady-0")
    answer = bench(*bench.new(*stubs(*ways)))
    assert answer.returncode == 1
    assert "No space left on device" in answer.stderr
    kept = bench.folder().records()
    assert label(kept[0]) == "raising-0"
    if "report" in answer.stderr:
        assert (
            f"`mnistbench report it --results {bench.results}` writes it once there is room" in answer.stderr
        )
    else:
        assert "cannot be written; finished trials are kept" in answer.stderr
        assert (
            f"Fix that, then resume with `mnistbench run --resume it --results {bench.results}`"
            in answer.stderr
        )
        assert len(kept) < 3
    bench.assert_nothing_left()
    (small_disk / "ballast").unlink()
    answer = bench("run", "--resume", "it")
    assert answer.returncode == 1, answer.stderr
    assert [label(record) for record in bench.folder().records()] == list(ways)
    assert bench.folder().records()[: len(kept)] == kept
    assert not list(bench.folder().path.rglob(".*.partial"))
    assert bench.started()["raising-0"] == 1
    record_property("did", f"with {pages} pages left {len(kept)} of 3 records were kept")


@pytest.mark.root
def test_a_full_disk_starts_no_run(on_small_disk, small_disk, record_property):
    on_small_disk.results.mkdir()
    fill(small_disk)
    answer = on_small_disk(*on_small_disk.new(*stubs("steady-0")))
    assert answer.returncode == 1
    assert "cannot write the run folder" in answer.stderr
    assert "No space left on device. Choose another folder with --results" in answer.stderr
    assert list(on_small_disk.results.iterdir()) == []
    assert not on_small_disk.started()
    record_property("did", answer.stderr)


@pytest.mark.root
@pytest.mark.slow
def test_a_report_that_finds_no_room_leaves_the_records(on_small_disk, small_disk, record_property):
    bench = on_small_disk
    assert bench(*bench.new(*stubs("steady-0"))).returncode == 0
    before = bench.folder().records()
    page = bench.folder().path / "report.md"
    page.unlink()
    ballast = fill(small_disk)
    answer = bench("report", "it")
    assert answer.returncode == 1
    assert f"`mnistbench report it --results {bench.results}` writes it once there is room" in answer.stderr
    assert bench.folder().records() == before
    assert not list(bench.folder().path.rglob(".*.partial"))
    ballast.unlink()
    assert bench("report", "it").returncode == 0
    assert "stub" in page.read_text(encoding="utf-8")
    record_property("did", answer.stderr)


@pytest.mark.root
@pytest.mark.slow
def test_a_read_only_results_folder_is_reported(on_small_disk, small_disk, record_property):
    bench = on_small_disk
    assert bench(*bench.new(*PLAN)).returncode == 1
    lines = (bench.folder().path / "records.jsonl").read_text().splitlines(keepends=True)
    (bench.folder().path / "records.jsonl").write_text("".join(lines[:-1]))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for arguments, words in (
        (bench.new(*stubs("steady-0"), name="other"), "cannot write the run folder"),
        (["run", "--resume", "it"], "cannot be written: Read-only file system"),
        (["report", "it"], "cannot write the report"),
    ):
        answer = bench(*arguments)
        assert answer.returncode == 1
        assert words in answer.stderr
        assert "Read-only file system" in answer.stderr
        record_property("did", answer.stderr)
    assert "4 of 5 done" in bench("runs").stdout
    bench.assert_nothing_left()


def test_results_deleted_under_the_run_are_reported(bench, record_property):
    answer = bench(*bench.new(*stubs("erasing-0", "steady-0")))
    assert answer.returncode == 1
    assert "cannot be written" in answer.stderr
    assert "No such file or directory" in answer.stderr
    assert not bench.results.exists()
    assert bench.started() == {"erasing-0": 1}
    bench.assert_nothing_left()
    record_property("did", answer.stderr)


# Clocks


@pytest.mark.slow
def test_a_clock_that_is_set_back_spoils_no_duration(bench, record_property):
    bench.environment["PYTHONPATH"] = str(CLOCK)
    probe = subprocess.run(
        [sys.executable, "-c", "import time; a = time.time(); print(time.time() - a)"],
        env={**os.environ, **bench.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(probe.stdout) < -1700
    before = time.perf_counter()
    answer = bench(*bench.new(*stubs("steady-0"), "--measure", "inference,cold_start,calibration"))
    wall = time.perf_counter() - before
    assert answer.returncode == 0, answer.stderr
    (record,) = bench.folder().records()
    (session,) = bench.folder().sessions()
    durations = {
        **{f"measurement.{n}": v for n, v in vars(record.measurement).items() if n.endswith("_seconds")},
        **{f"cold_start.{n}": v for n, v in vars(record.measurement.cold_start).items() if "seconds" in n},
        **{f"latency.{n}": v for n, v in enumerate(record.measurement.inference.latency_seconds)},
        "trial_seconds": record.trial_seconds,
        "session": session.wall_seconds,
        "load": record.measurement.load.wall_seconds,
    }
    wrong = {name: seconds for name, seconds in durations.items() if not 0 <= seconds < wall}
    assert wrong == {}
    assert record.measurement.cold_start.total_seconds > record.measurement.cold_start.import_seconds > 0
    record_property("did", f"{len(durations)} durations lie between 0 and the {wall:.0f} s of the command")


def test_only_the_age_of_files_is_read_from_the_clock():
    """What can be set must measure nothing: `time.time` tells only how old a left-over file is."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("time", "time_ns", "create_time", "utcnow"):
                if node.attr.startswith("time") and getattr(node.value, "id", "") != "time":
                    continue
                found.add(f"{path.relative_to(PACKAGE)}: {node.attr}")
    assert found == {"datasets/cache.py: time", "runs/folder.py: time", "execution/processes.py: create_time"}


# Several at once


@pytest.mark.slow
def test_two_runs_at_once_do_not_disturb_each_other(bench):
    plan = [part for part in bench.new(*stubs("steady-0", "raising-0")) if part not in ("--name", "it")]
    first, second = bench.start(*plan), bench.start(*plan)
    for process in (first, second):
        _, err = process.communicate(timeout=200)
        assert process.returncode == 1, err
    folders = [RunFolder(path.parent) for path in bench.results.glob("*/run.json")]
    assert len(folders) == 2
    for folder in folders:
        assert [label(record) for record in folder.records()] == ["steady-0", "raising-0"]
        assert (folder.path / "report.md").is_file()
    assert (bench.results / "report.md").is_file()
    assert bench.started() == {"steady-0": 2, "raising-0": 2}
    bench.assert_nothing_left()


@linux
def test_a_second_runner_of_the_same_run_is_refused(bench, record_property):
    first = bench.start(*bench.new(*stubs("steady-0", "hanging-0")))
    deadline = time.monotonic() + 60
    while not bench.started()["hanging-0"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    answer = bench("run", "--resume", "it")
    assert answer.returncode == 1
    assert "is in use by another mnistbench; wait for it to end, or start a new run" in answer.stderr
    assert first.poll() is None
    assert bench.started() == {"steady-0": 1, "hanging-0": 1}
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130
    assert f"`mnistbench run --resume it --results {bench.results}` runs the rest" in err
    bench.assert_nothing_left()
    record_property("did", answer.stderr)


# Run folders from elsewhere


def rewritten(folder: RunFolder, **changes: object) -> None:
    path = folder.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def visited(undisturbed, tmp_path, data) -> Bench:
    """A results folder with a run of here, and the interrupted copy of one, "copy", from elsewhere."""
    bench = Bench(tmp_path, data)
    for name in ("it", "copy"):
        shutil.copytree(undisturbed.bench.folder().path, bench.results / name)
    path = bench.folder("copy").path / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    return bench


@pytest.mark.slow
def test_a_run_copied_from_another_machine_is_reported_but_not_gone_on_with(visited, data, record_property):
    copy = visited.folder("copy")
    models = json.loads((copy.path / "run.json").read_text())["models"]
    elsewhere = [{**model, "path": f"/elsewhere/{model['name']}.py"} for model in models]
    rewritten(copy, models=elsewhere, dataset_spec="/elsewhere/noise.npz")
    answer = visited("run", "--resume", "copy")
    assert answer.returncode in (2, 3)
    assert "/elsewhere/noise.npz" in answer.stderr
    record_property("did", answer.stderr)
    rewritten(copy, models=elsewhere, dataset_spec=str(data))
    answer = visited("run", "--resume", "copy")
    assert answer.returncode == 2
    assert "the model file /elsewhere/" in answer.stderr
    assert "Restore the file, or start a new run" in answer.stderr
    record_property("did", answer.stderr)
    (copy.path / "report.md").unlink()
    assert visited("report", "copy").returncode == 0
    assert "stub" in (copy.path / "report.md").read_text(encoding="utf-8")
    listed = visited("runs").stdout
    assert "4 of 5 done" in listed
    assert "complete" in listed
    assert not visited.started()


@pytest.mark.slow
@pytest.mark.parametrize("version", [0, 99])
def test_a_run_of_another_schema_version_is_reported(visited, version, record_property):
    rewritten(visited.folder("copy"), schema_version=version)
    for arguments in (["report", "copy"], ["run", "--resume", "copy"], ["run", "--trial", "copy/x"]):
        answer = visited(*arguments)
        assert answer.returncode == 1
        assert f"has schema version {version}; this mnistbench reads version 1" in answer.stderr
    record_property("did", f"version {version}: {answer.stderr.partition(' has ')[2]}")
    answer = visited("runs")
    assert answer.returncode == 0
    assert "complete" in answer.stdout
    assert "cannot be read" in answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize("trial_id", ["../../escaped", "/tmp/mnistbench-escaped", "..", "a/b"])
def test_a_run_folder_from_elsewhere_cannot_write_outside_itself(visited, tmp_path, trial_id):
    """The names of a trial's files are derived from what the trial is, not read from the plan or a record."""
    copy = visited.folder("copy")
    plan = json.loads((copy.path / "run.json").read_text())
    for trial in plan["trials"]:
        trial["id"] = trial_id
    (copy.path / "run.json").write_text(json.dumps(plan))
    lines = [json.loads(line) for line in (copy.path / "records.jsonl").read_text().splitlines()]
    for line in lines:
        line["trial"]["id"] = trial_id
    (copy.path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = {path for path in tmp_path.rglob("*") if copy.path not in path.parents}
    assert visited("run", "--resume", "copy").returncode == 1
    assert [label(record) for record in copy.records()] == list(WAYS)
    after = {path for path in tmp_path.rglob("*") if copy.path not in path.parents}
    assert {path for path in after - before if "cache" not in path.parts} <= {visited.results / "report.md"}


@pytest.mark.slow
def test_a_gigabyte_of_output_is_drained_and_left_out(bench, record_property):
    answer = bench(*bench.new(*stubs("pouring-0")))
    assert answer.returncode == 0, answer.stderr
    (record,) = bench.folder().records()
    log = bench.folder().log(record.trial.id)
    assert log.startswith("the first line\n")
    assert log.endswith("the last line\n")
    assert len(log) < 300_000
    notice = next(line for line in log.splitlines() if "left out" in line)
    assert int(notice.split()[1].replace(",", "")) > 2**30 - 300_000
    record_property("did", f"of a gigabyte the log keeps {len(log):,} bytes, and says {notice.strip('. ')}")
