"""Folders in which the commands are started."""

from subprocess import CompletedProcess

import pytest
from support.shell import Shell


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell.made(tmp_path / "place")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory) -> tuple[Shell, CompletedProcess[str]]:
    """A folder in which the run "one" of two models was made, and how it ended."""
    shell = Shell.made(tmp_path_factory.mktemp("shell"))
    return shell, shell.run("--name", "one", "--only", "nearest,constant")


@pytest.fixture
def ran(first_run, tmp_path) -> Shell:
    """A folder of the test's own in which that run was made."""
    shell, answer = first_run
    assert answer.returncode == 0, answer.stderr
    return shell.copy(tmp_path / "place")
