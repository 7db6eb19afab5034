"""Fixtures that all tests share."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from support.trials import job_of, write_dataset

from mnistbench.datasets import DatasetInfo
from mnistbench.execution.isolation import Job
from mnistbench.machine import usable_cores

settings.register_profile(  # a busy machine is no failure
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")
collect_ignore = ["support"]
# A shell ignores it for what it runs in the background, and every process started from there inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a user's shell may hold that would change what the tests see: how programs draw on a terminal, how
# Python writes, how the libraries compute, where requests go. A test that needs one of them sets it itself.
_OF_THE_SHELL = (
    "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR",
    "PY_COLORS", "TERM", "TERMINAL_WIDTH", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
    "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONWARNINGS",
    "KERAS_BACKEND", "MATPLOTLIBRC", "MKL_NUM_THREADS", "MPLBACKEND", "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS",
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
    "all_proxy", "https_proxy", "http_proxy", "no_proxy",
)  # fmt: skip


def pytest_sessionstart() -> None:
    """Take the user's settings out of the environment, before any test file is imported or worker started."""
    for variable in _OF_THE_SHELL:
        os.environ.pop(variable, None)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetInfo:
    """Ten classes, 240 training and 60 test images of 6 x 5 pixels."""
    return write_dataset(tmp_path_factory.mktemp("noise"))


@pytest.fixture(scope="session")
def odd_digits() -> tuple[np.ndarray, np.ndarray]:
    """The 8 x 8 digits, with labels that are not 0 to 9 and do not rise with the digit."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), 4 - 3 * y


@pytest.fixture(scope="session")
def make_job(dataset: DatasetInfo) -> Callable[..., Job]:
    """Return a function that makes the job of a stub model, on that data set unless it names another."""
    return partial(job_of, dataset=dataset)


@pytest.fixture
def busy_core() -> Iterator[int]:
    """Yield one of this process's cores, at least two, which another process keeps busy."""
    if not hasattr(os, "sched_setaffinity") or len(usable_cores()) < 2:
        pytest.skip("no process can be given a core of its own here")
    core = usable_cores()[0]
    spin = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as loop:
        yield core
        loop.kill()
