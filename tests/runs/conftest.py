"""Fixtures of the tests of run folders."""

import pytest
from support.records import plan_of

from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo


@pytest.fixture
def info(dataset) -> RunInfo:
    return plan_of(dataset)


@pytest.fixture
def folder(tmp_path, info) -> RunFolder:
    return RunFolder.create(tmp_path / "results", info)
