"""Ctrl-C, SIGTERM and a closed terminal, all of which end a run early."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Self

_ENDING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Interruptions:
    """Raises KeyboardInterrupt for the first of them, and only inside `allowed`; otherwise they wait for it.

    So whatever is opened around `allowed`, such as a terminal, is always closed: Python may raise
    KeyboardInterrupt between an `__enter__` and its block, and then nothing is closed
    (https://docs.python.org/3/library/signal.html, "Note on Signal Handlers and Exceptions"). Those that come
    while the run is being ended change nothing.
    """

    def __init__(self) -> None:
        self._on_first: Callable[[], object] | None = None
        self._arrived = False

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._arrive)
            for number in _ENDING
            if signal.getsignal(number) not in (signal.SIG_IGN, None)  # nohup outlives its terminal
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def allowed(self, on_first: Callable[[], object]) -> Iterator[None]:
        """Raise KeyboardInterrupt at once within this block, at its start for a signal that came before.

        The handler of the signal calls `on_first` before it raises.
        """
        try:
            self._on_first = on_first
            if self._arrived:
                raise KeyboardInterrupt
            yield
        finally:
            self._on_first = None

    def _arrive(self, _number: int, _frame: FrameType | None) -> None:
        self._arrived = True
        if self._on_first is not None:
            on_first, self._on_first = self._on_first, None
            on_first()
            raise KeyboardInterrupt
