"""The end of a trial's processes, wherever they fled to."""

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest

from mnistbench.execution.processes import MARK, kill_marked

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this")

FLEEING = """
import os, time
end = time.monotonic() + 30
while time.monotonic() < end:
    time.sleep({seconds})
    if os.fork():
        os._exit(0)
    os.setsid()
"""


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for _ in range(3):  # what flees can hide from one look
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == mark:
                    found.append(process)
    return found


@pytest.fixture(scope="module")
def crowd():
    """Run many processes that do nothing: the table of processes then takes long to walk."""
    idle = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(100)]
    yield
    for process in idle:
        process.communicate()


@pytest.mark.parametrize("seconds", [0.03, 0.003])
def test_what_flees_into_a_child_again_and_again_is_caught(crowd, seconds):
    for attempt in range(5):
        mark = f"fleeing-{os.getpid()}-{seconds}-{attempt}"
        with subprocess.Popen(
            [sys.executable, "-c", FLEEING.format(seconds=seconds)], env={**os.environ, MARK: mark}
        ) as process:
            process.wait(timeout=20)
            time.sleep(0.1)
            kill_marked(mark, ())
            assert marked(mark) == []


def test_a_known_descendant_is_ended_without_the_mark_and_another_is_left(crowd):
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeping) as known, subprocess.Popen(sleeping) as other:
        kill_marked("no-such-mark", {psutil.Process(known.pid)})
        assert known.wait(timeout=5) == -9
        assert other.poll() is None
        other.kill()
