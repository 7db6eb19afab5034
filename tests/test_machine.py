"""What a machine and an installation are, as far as they change a number, and how fast the machine is."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from unittest import mock

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.python import loaded_by, run_python
from support.trials import CORE

from mnistbench import machine
from mnistbench.execution.processes import child_environment
from mnistbench.machine import Calibration, calibrate, drift
from mnistbench.runs.json import from_json, to_json

ROOT = Path(__file__).parent.parent
in_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the source tree is no git repository")


def test_the_machine_is_described_as_it_is():
    here = machine.environment()
    assert here.host == platform.node()
    assert here.cpu
    assert here.logical_cores == psutil.cpu_count()
    assert 1 <= here.usable_cores <= here.logical_cores
    assert 2**28 < here.memory_bytes <= psutil.virtual_memory().total
    assert platform.machine() in here.system
    assert here.python.endswith(platform.python_version())
    assert here.libraries["numpy"] == importlib.metadata.version("numpy")
    assert "not-installed" not in here.libraries


def test_a_description_survives_storage():
    here = machine.environment()
    assert from_json(machine.Environment, json.loads(json.dumps(to_json(here)))) == here


def test_it_is_taken_once_a_process():
    assert machine.environment() is machine.environment()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to cores")
def test_usable_cores_are_those_of_the_affinity_mask():
    last = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{last}])\nfrom mnistbench import machine"
    assert run_python(f"{code}; print(machine.usable_cores())").stdout.strip() == f"({last},)"


@in_git
def test_the_commit_is_the_source_trees_own():
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commit = machine.git("rev-parse", "HEAD")
    assert commit == head.strip()
    assert machine.environment.__wrapped__().commit.removesuffix("+changes") == commit[:12]


@in_git
def test_a_git_hook_of_another_repository_does_not_lend_its_commit(tmp_path, monkeypatch):
    commit = machine.git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert machine.git("rev-parse", "HEAD") == commit


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert machine.git("rev-parse", "HEAD") is None


def test_a_question_that_git_refuses_has_no_answer():
    assert machine.git("rev-parse", "no-such-branch") is None


def test_it_imports_no_slow_library():
    slow = ("numpy", "pandas", "sklearn", "tensorflow", "psutil")
    assert loaded_by("import mnistbench.machine", *slow) == set()


def calibration(**scales):
    """Make a calibration whose kernels took a second each, times their scale."""
    kernels = ("matrix_product", "memory_copy", "python_loop", "gather")
    return Calibration(**{f"{name}_seconds": (scales.get(name, 1.0),) * 3 for name in kernels})


def test_every_kernel_is_timed_several_times():
    measured = calibrate(CORE, child_environment(os.environ, 1))
    assert all(seconds > 0 for seconds in measured.medians.values())
    assert {len(values) for values in vars(measured).values()} == {5}
    assert min(measured.medians.values()) <= measured.unit_seconds <= max(measured.medians.values())


def test_the_unit_is_the_geometric_mean():
    assert calibration(gather=16.0).unit_seconds == pytest.approx(2.0)


def test_drift_is_the_largest_change_in_either_direction():
    assert drift(calibration(), calibration()) == 0
    assert drift(calibration(), calibration(gather=1.2)) == pytest.approx(0.2)
    assert drift(calibration(), calibration(gather=1.2, python_loop=0.5)) == pytest.approx(1.0)


def test_cores_that_another_program_keeps_busy_are_not_free(busy_core):
    cores = machine.usable_cores()
    free = machine.free_cores(cores)
    assert 1 <= len(free) < len(cores)
    assert set(free) < set(cores)


def test_half_a_second_in_which_a_core_is_idle_or_not_counted_is_no_load():
    seen = psutil.cpu_times_percent(0.01)
    asleep = seen._replace(**dict.fromkeys(seen._fields, 0.0))
    cores = [asleep._replace(user=2.5, idle=47.5), asleep]
    with mock.patch("psutil.cpu_times_percent", return_value=cores):
        assert machine._busy_shares((0, 1), 0.1) == pytest.approx({0: 0.05, 1: 0.0})


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_least_busy_cores_are_free_as_many_as_are_left_over(shares):
    cores = tuple(range(len(shares)))
    with mock.patch.multiple(
        machine,
        _running_tasks=lambda: 2,
        _busy_shares=lambda cores, seconds: dict(zip(cores, shares, strict=True)),
    ):
        free = machine.free_cores(cores)
    assert len(free) == max(1, round(len(cores) - sum(shares)))
    taken = set(cores) - set(free)
    assert max(shares[core] for core in free) <= min((shares[core] for core in taken), default=1)


def test_one_core_or_an_idle_machine_is_not_watched():
    with mock.patch.object(machine, "_busy_shares", side_effect=AssertionError):
        assert machine.free_cores((3,)) == (3,)
        with mock.patch.object(machine, "_running_tasks", return_value=1):
            assert machine.free_cores((0, 1)) == (0, 1)
