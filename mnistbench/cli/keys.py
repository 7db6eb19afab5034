"""Single keys, typed while a run is shown, on terminals that can tell them one by one."""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def keys(actions: Mapping[str, Callable[[], None]]) -> Iterator[bool]:
    """Call an action whenever its key is typed; yields whether keys are listened to at all.

    They are where standard input is a terminal in whose foreground this process runs, and the system is
    POSIX. The terminal's settings are put back, however it ends; Ctrl-C stays what it is.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield False
        return
    if not _in_foreground():
        yield False
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    wake, waker = os.pipe()
    listener = threading.Thread(target=_listen, args=(terminal, wake, actions), daemon=True)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        listener.start()
        yield True
    finally:
        os.write(waker, b"x")
        listener.join(timeout=1)
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        os.close(wake)
        os.close(waker)


def _in_foreground() -> bool:
    """Whether this process may change the terminal; in the background it would be stopped for trying."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no terminal, or a closed stdin
        return False


def _listen(terminal: int, wake: int, actions: Mapping[str, Callable[[], None]]) -> None:
    with contextlib.suppress(OSError):
        while wake not in (ready := select.select([terminal, wake], [], [])[0]):
            if terminal in ready:
                typed = os.read(terminal, 1)
                if not typed:  # the terminal has gone
                    return
                action = actions.get(typed.decode("latin-1"))
                if action is not None:
                    action()
