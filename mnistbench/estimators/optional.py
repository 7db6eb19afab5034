"""Imports libraries without others that they import only where these are installed."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def not_installed(*names: str) -> Iterator[None]:
    """Let libraries, given by name, seem not to be installed, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    # https://docs.python.org/3/reference/import.html#the-module-cache: None raises ModuleNotFoundError.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # typeshed has no None there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
