"""However a run is interrupted, what was opened around it is closed."""

import contextlib
import os
import signal

import pytest

from mnistbench.cli.interruptions import Interruptions

ENDING = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])


@pytest.fixture(autouse=True)
def as_a_shell_starts_it():
    """Ctrl-C as Python has it; a job that a script starts in the background ignores it."""
    before = {number: signal.getsignal(number) for number in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in set(ENDING) - {signal.SIGINT}:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Terminal:
    """Is interrupted while it is opened, while it is closed, or neither."""

    def __init__(self, number, *, opening=False, closing=False):
        self.number, self.opening, self.closing = number, opening, closing
        self.is_open = False

    def __enter__(self):
        self.is_open = True
        if self.opening:
            signal.raise_signal(self.number)
        return self

    def __exit__(self, *_):
        if self.closing:
            signal.raise_signal(self.number)
        self.is_open = False


def carry_out(terminal, run):
    """Return how often the run was said to be stopping."""
    stopping = []
    with (
        Interruptions() as interruptions,
        contextlib.suppress(KeyboardInterrupt),
        terminal,
        interruptions.allowed(lambda: stopping.append(1)),
    ):
        run()
    return len(stopping)


@pytest.mark.parametrize("number", ENDING)
def test_a_run_is_interrupted_once_at_once_and_the_terminal_closed(number):
    reached = []

    def run():
        try:
            signal.raise_signal(number)
            reached.append("later")
        finally:
            for _ in range(2):
                signal.raise_signal(number)  # as an impatient user does
            reached.append("cleaned up")

    terminal = Terminal(number, closing=True)
    assert carry_out(terminal, run) == 1
    assert reached == ["cleaned up"]
    assert not terminal.is_open


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("moment", ["opening", "closing"])
def test_a_signal_while_the_terminal_is_opened_or_closed_waits_until_it_can_be_closed(number, moment):
    terminal, ran = Terminal(number, **{moment: True}), []
    carry_out(terminal, lambda: ran.append(1))
    assert bool(ran) == (moment == "closing")
    assert not terminal.is_open


def test_an_error_outranks_an_interruption_that_came_after_it():
    def run():
        raise OSError("the disk is full")

    terminal = Terminal(signal.SIGTERM, closing=True)
    with pytest.raises(OSError, match="full"):
        carry_out(terminal, run)
    assert not terminal.is_open


def test_the_signal_handlers_are_restored():
    before = [signal.getsignal(number) for number in ENDING]
    with Interruptions():
        assert [signal.getsignal(number) for number in ENDING] != before
    assert [signal.getsignal(number) for number in ENDING] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal hangs up here")
def test_what_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruptions() as interruptions, interruptions.allowed(print):
        os.kill(os.getpid(), signal.SIGHUP)
