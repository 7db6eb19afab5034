"""Keys act one by one on a real terminal, and the terminal is left as it was found."""

import os
import sys
import time

import pytest

pytest.importorskip("termios")
import pty
import signal
import termios

SCRIPT = """
import signal, sys, time
from mnistbench.cli.keys import keys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is born deaf to it
with keys({"l": lambda: print("toggled", flush=True)}) as listening:
    print("ready", listening, flush=True)
    time.sleep(20)
"""


def read_until(terminal, text, seconds=15):
    said, deadline = b"", time.monotonic() + seconds
    while text not in said and time.monotonic() < deadline:
        try:
            said += os.read(terminal, 1000)
        except OSError:  # the other side is closed
            break
    assert text in said, said
    return said


@pytest.mark.parametrize("end", [signal.SIGINT, None])
def test_a_key_acts_at_once_and_the_terminal_is_put_back(end):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", SCRIPT.replace("20", "20" if end else "0.5")])
    read_until(terminal, b"ready True")
    assert not termios.tcgetattr(terminal)[3] & termios.ICANON
    os.write(terminal, b"xl")
    read_until(terminal, b"toggled")
    if end:
        os.write(terminal, b"\x03")  # Ctrl-C as typed
    settings = termios.tcgetattr(terminal)
    deadline = time.monotonic() + 15
    while not settings[3] & termios.ICANON and time.monotonic() < deadline:
        time.sleep(0.05)
        settings = termios.tcgetattr(terminal)
    assert settings[3] & termios.ICANON
    os.close(terminal)
    os.waitpid(child, 0)


def test_without_a_terminal_nobody_listens():
    import subprocess

    script = SCRIPT.replace("20", "0")
    answer = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert answer.stdout == "ready False\n"
