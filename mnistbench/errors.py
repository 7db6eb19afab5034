"""The errors that a user can cause and fix; the command line prints their text without a traceback."""

import difflib
from collections.abc import Iterable


class MnistbenchError(Exception):
    """An error that the user can fix: the text says what is wrong, what was expected and what to do next."""

    exit_status = 1


class UsageError(MnistbenchError):
    """The command, an option, a suite or a model's name is wrong."""

    exit_status = 2


class DataError(MnistbenchError):
    """A data set is unavailable, damaged or unusable."""

    exit_status = 3


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name, with the nearest name and the whole list."""
    names = list(known)
    by_lower_case = {known_name.lower(): known_name for known_name in reversed(names)}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
    hint = f" Did you mean {by_lower_case[near[0]]}?" if near else ""
    return f"there is no {kind} named {name!r}.{hint} Known: {', '.join(names) or 'none'}."
