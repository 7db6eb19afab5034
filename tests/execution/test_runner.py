"""The parent of all trials: what it runs, what it keeps, and what it leaves behind."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from support.processes import descendants, wait_for
from support.shell import Shell
from support.trials import MODELS

from mnistbench.datasets import DatasetInfo
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.execution.local import Concurrency, LocalCores
from mnistbench.execution.runner import Limits, Plan, create_run, models_of, run
from mnistbench.plan.models import ModelFile, read_model_file
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Published, Status, Trial

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
two_cores = pytest.mark.skipif(CORES < 2, reason="needs two cores that Linux can tie processes to")


class Quiet:
    """An observer that notes the ids of trials."""

    def __init__(self) -> None:
        self.started_ids: list[str] = []
        self.finished_ids: list[str] = []

    def started(self, trial) -> None:
        self.started_ids.append(trial.id)

    def activity(self, trial, activity) -> None: ...

    def finished(self, record) -> None:
        self.finished_ids.append(record.trial.id)


@pytest.fixture
def plan_run(tmp_path, dataset):
    """Return a function that makes a run of stub models, a trial for each name and parameters given."""

    def make(
        *wanted: tuple[Path | str, dict], jobs: int = 1, **changes
    ) -> tuple[RunFolder, dict[str, ModelFile]]:
        files = [read_model_file(MODELS / f"{m}.py" if isinstance(m, str) else m) for m, _ in wanted]
        trials = [
            Trial(dataset.name, dataset.sha256, None, file.name, {**file.parameters, **parameters}, seed, 1)
            for seed, (file, (_, parameters)) in enumerate(zip(files, wanted, strict=True))
        ]
        plan = Plan(
            suite="tests",
            dataset=dataset,
            dataset_spec="noise",
            trials=trials,
            models=list({file.name: file for file in files}.values()),
            limits=Limits(60, 2**32, jobs),
            measurements=changes.pop("measurements", ()),
        )
        folder = create_run(tmp_path / "results", plan, ("run",), **changes)
        return folder, {file.name: file for file in files}

    return make


@pytest.fixture
def noting(tmp_path) -> tuple[str, dict]:
    """A stub model that takes half a second and notes when it ran on which cores."""
    (tmp_path / "notes").mkdir()
    return "stub", {"how": "noting-5", "folder": str(tmp_path / "notes")}


def notes_in(tmp_path: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in (tmp_path / "notes").iterdir()]


def test_a_run_keeps_what_others_have_published_beside_its_models(plan_run, dataset, tmp_path):
    own = tmp_path / "own.py"
    own.write_bytes((MODELS / "constant.py").read_bytes())
    (tmp_path / "baselines.toml").write_text(f'[paper]\nsource = "A paper"\n{dataset.name}.own = 97.3\n')
    folder, _ = plan_run((own, {}), ("constant", {}))
    kept = {model.name: model.published for model in folder.info().models}
    assert kept == {"own": (Published(0.973, "A paper"),), "constant": ()}


def test_concurrency_is_the_most_others_at_any_moment_on_the_same_machine():
    concurrency = Concurrency()
    concurrency.enter("here", "a")
    concurrency.enter("there", "b")
    concurrency.enter("here", "c")
    assert concurrency.leave("here", "c") == 1
    concurrency.enter("here", "d")
    concurrency.enter("here", "e")
    assert concurrency.leave("here", "d") == 2
    assert concurrency.leave("here", "a") == 2
    assert concurrency.leave("here", "e") == 2
    assert concurrency.leave("there", "b") == 0
    concurrency.enter("here", "f")
    assert concurrency.leave("here", "f") == 0


def trial(threads: int) -> Trial:
    return Trial("noise", "0" * 64, None, "constant", {}, 0, threads)


def test_no_more_trials_run_side_by_side_than_cores_allow():
    assert LocalCores(1).side_by_side([trial(1)] * 4) == 1
    assert LocalCores(1000).side_by_side([trial(1)] * 10_000) == CORES
    assert LocalCores(1000).side_by_side([trial(CORES), trial(1)]) == 1
    assert LocalCores(1000).side_by_side([trial(1)]) == 1
    assert LocalCores(2).side_by_side([]) == 1


def test_a_run_from_a_wider_machine_is_refused():
    with pytest.raises(UsageError, match=f"trials with {CORES + 1} threads"):
        LocalCores().side_by_side([trial(CORES + 1)])


@two_cores
def test_side_by_side_means_disjoint_cores_and_is_marked(plan_run, dataset, noting, tmp_path):
    folder, models = plan_run(*[noting] * 4, jobs=2)
    assert run(folder, models, dataset, Quiet())
    records = folder.records()
    assert [record.status for record in records] == [Status.OK] * 4
    assert all(record.beside == 1 for record in records)
    found = notes_in(tmp_path)
    assert all(len(one["cores"]) == 1 and one["threads"] == "1" for one in found)
    overlaps = [
        (one, other)
        for one in found
        for other in found
        if one is not other and one["began"] < other["ended"] and other["began"] < one["ended"]
    ]
    assert overlaps
    assert all(one["cores"] != other["cores"] for one, other in overlaps)


@two_cores
def test_a_trial_that_ran_alone_is_not_marked(plan_run, dataset, noting, tmp_path):
    folder, models = plan_run(noting, jobs=2)
    assert run(folder, models, dataset, Quiet())
    assert [record.beside for record in folder.records()] == [0]
    assert [session.side_by_side for session in folder.sessions()] == [1]


def test_trials_that_have_a_record_are_not_run_again(plan_run, dataset):
    folder, models = plan_run(("constant", {}), ("nearest", {}), ("stub", {"how": "raising"}))
    assert run(folder, models, dataset, Quiet())
    lines = (folder.path / "records.jsonl").read_bytes().splitlines(keepends=True)
    (folder.path / "records.jsonl").write_bytes(b"".join(lines[:2]))
    again = Quiet()
    assert run(folder, models, dataset, again)
    assert again.started_ids == again.finished_ids == [folder.info().trials[2].id]
    assert len(folder.records()) == 3
    assert [len(session.trial_ids) for session in folder.sessions()] == [3, 1]
    nothing = Quiet()
    assert run(folder, models, dataset, nothing)
    assert not nothing.started_ids


@two_cores
def test_a_folder_that_cannot_be_written_ends_the_run_and_all_its_processes(plan_run, dataset, tmp_path):
    folder, models = plan_run(("stub", {"how": "hanging"}), ("constant", {}), jobs=2)
    (folder.path / "logs").rmdir()
    before = time.monotonic()
    with pytest.raises(MnistbenchError, match=r"cannot be written.*--resume"):
        run(folder, models, dataset, Quiet())
    assert time.monotonic() - before < 40
    assert not descendants(os.getpid())
    (session,) = folder.sessions()
    assert not session.complete


def test_a_changed_model_or_data_set_is_refused(plan_run, dataset, tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes((MODELS / "constant.py").read_bytes())
    folder, _ = plan_run((path, {}))
    info = folder.info()
    assert set(models_of(info, dataset)) == {"mine"}
    other = DatasetInfo(**{**vars(dataset), "sha256": "0" * 64})
    with pytest.raises(UsageError, match="differs from that of"):
        models_of(info, other)
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(UsageError, match="has changed since"):
        models_of(info, dataset)
    assert set(models_of(info, dataset, may_differ=True)) == {"mine"}
    path.unlink()
    with pytest.raises(UsageError, match="has gone missing since"):
        models_of(info, dataset, may_differ=True)


@pytest.mark.parametrize("name", ["../up", "", ".", "a/b", "-x", "a\nb"])
def test_a_runs_name_cannot_lead_out_of_the_results_folder(plan_run, name):
    with pytest.raises(UsageError, match="is not a valid name"):
        plan_run(("constant", {}), name=name)


def test_a_name_is_taken_once(plan_run):
    assert plan_run(("constant", {}), name="mine")[0].name == "mine"
    with pytest.raises(UsageError, match="already exists"):
        plan_run(("constant", {}), name="mine")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_nohup_outlives_its_terminal(tmp_path):
    shell = Shell.made(tmp_path)
    ways = ("--set", "stub.how=hanging,steady")
    process = shell.start(*shell.new("--only", "stub", *ways, "--timeout", "4"), before=("nohup",))
    wait_for(lambda: descendants(process.pid))
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert [record.status for record in RunFolder(shell.only_run()).records()] == [Status.TIMEOUT, Status.OK]


def test_a_run_in_another_thread_needs_no_signals(plan_run, dataset):
    folder, models = plan_run(("constant", {}))
    thread = threading.Thread(target=run, args=(folder, models, dataset, Quiet()))
    thread.start()
    thread.join(timeout=60)
    assert [record.status for record in folder.records()] == [Status.OK]
