"""Ctrl-C, SIGTERM and a closed terminal, all of which end a run early."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Self

_ENDING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Interruptions:
    """Raises KeyboardInterrupt for each of them inside `allowed`, and defers them in the rest of its block.

    So whatever is opened around `allowed`, such as a terminal, is always closed: Python may raise
    KeyboardInterrupt between an `__enter__` and its block, and then nothing is closed
    (https://docs.python.org/3/library/signal.html, "Note on Signal Handlers and Exceptions").
    """

    def __init__(self) -> None:
        self._deferred = True
        self._arrived = False

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._arrive)
            for number in _ENDING
            if signal.getsignal(number) not in (signal.SIG_IGN, None)  # nohup outlives its terminal
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._arrived and kind is None:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at once within this block, at its start for a signal that came before."""
        try:
            self._deferred = False
            if self._arrived:
                self._arrived = False
                raise KeyboardInterrupt
            yield
        finally:
            self._deferred = True

    def _arrive(self, _number: int, _frame: FrameType | None) -> None:
        if self._deferred:
            self._arrived = True
        else:
            raise KeyboardInterrupt
