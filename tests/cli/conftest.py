"""Folders in which the commands are started."""

import pytest
from support.shell import Shell


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell.made(tmp_path / "place")


@pytest.fixture(scope="session")
def shell_with_a_run(tmp_path_factory) -> Shell:
    shell = Shell.made(tmp_path_factory.mktemp("shell"))
    answer = shell.run("--name", "one", "--only", "nearest,constant", "--quiet")
    assert answer.returncode == 0, answer.stderr
    return shell


@pytest.fixture
def ran(shell_with_a_run, tmp_path) -> Shell:
    """A folder of the test's own in which the run "one" of two models was made."""
    return shell_with_a_run.copy(tmp_path / "place")
