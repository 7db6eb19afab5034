"""Control groups: the kernel's own limits where they can be had, and nothing at all where they cannot."""

import os
import re
from pathlib import Path

import psutil
import pytest
from support.trials import CORE

from mnistbench.execution import cgroup, monitor
from mnistbench.execution.cgroup import ControlGroup
from mnistbench.execution.isolation import run_trial
from mnistbench.runs.records import Status


@pytest.fixture
def real() -> Path:
    """Return the folder in which this process may make groups."""
    probe = ControlGroup.make(f"mnistbench-test-{os.getpid()}", 2**30)
    if probe is None:
        pytest.skip("this machine lets this user make no control group of version 2 with a memory limit")
    probe.end()
    return ControlGroup.named("x")._path.parent


@pytest.mark.root
def test_the_kernel_ends_a_trial_at_its_memory_limit(real, make_job, monkeypatch):
    monkeypatch.setattr(monitor.Monitor, "_read_memory", lambda self: None)
    record = run_trial(make_job("allocating", memory_limit_bytes=300 * 2**20), CORE)
    assert record.status is Status.OUT_OF_MEMORY
    assert record.failure.message == "was killed by the kernel in the phase fit; its memory limit is 300 MiB"
    assert [path.name for path in real.glob("mnistbench-*")] == []


@pytest.mark.root
def test_a_process_that_hides_its_origin_is_ended_with_its_group(real, make_job, monkeypatch):
    monkeypatch.setattr(monitor, "_TREE_SECONDS", 1e9)  # so that it is never seen as a descendant
    outcome = run_trial(make_job("escaping"), CORE)
    assert outcome.status is Status.OK
    for child in re.search(rb"children (\d+) (\d+)", outcome.log).groups():
        assert not psutil.pid_exists(int(child))
    assert [path.name for path in real.glob("mnistbench-*")] == []


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Let plain folders stand for the groups of a session, which hands memory down to those beside it."""
    (tmp_path / "session" / "shell").mkdir(parents=True)
    (tmp_path / "session" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "session" / "shell" / "cgroup.subtree_control").write_text("\n")
    itself = tmp_path / "self"
    itself.write_text("1:name=systemd:/x\n0::/session/shell\n")
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "_MEMBERSHIP", itself)
    return tmp_path


def test_a_group_is_made_beside_our_own_with_its_limits(made_up):
    group = ControlGroup.make("trial", 300)
    folder = made_up / "session" / "trial"
    limits = {path.name: path.read_text() for path in folder.iterdir()}
    assert limits == {
        "memory.max": "300",
        "memory.oom.group": "1",
        "memory.swap.max": "0",
        "pids.max": "4096",
    }
    assert group.take(1234)
    assert (folder / "cgroup.procs").read_text() == "1234"


@pytest.mark.parametrize(
    ("events", "killed"),
    [
        ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n", False),
        ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n", True),
        ("oom", False),
        ("oom_kill many", False),
    ],
)
def test_a_kill_for_want_of_memory_is_read_from_the_events(made_up, events, killed):
    group = ControlGroup.make("trial", 300)
    (made_up / "session" / "trial" / "memory.events").write_text(events)
    assert group.ran_out_of_memory() is killed


@pytest.mark.parametrize(
    "membership", ["", "3:memory:/x\n", "0::/../x\n", "0::/nowhere/shell\n", "0::/session\n"]
)
def test_there_is_no_group_where_none_can_be_made(made_up, membership):
    if membership == "0::/session\n":  # which may hand memory down, but not be written to
        (made_up / "session" / "trial").touch()
    (made_up / "self").write_text(membership)
    assert ControlGroup.make("trial", 300) is None
