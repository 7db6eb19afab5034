"""Standard output and standard error that never fail, and how the commands print.

Characters that the encoding lacks are replaced, and a reader that leaves (`| head -1`) or a full disk ends
the output but not the run.
"""

import errno
import io
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TextIO

from mnistbench.text import visible

_LEFT = (errno.EPIPE, errno.EINVAL, errno.EIO)  # Windows says EINVAL of a pipe; a closed terminal gives EIO


class Output(io.FileIO):
    """An open file to print to; once a write fails, `error` says why and everything later is dropped.

    `farewell`, unless empty, is what standard error says when that happens.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None
        self.farewell = ""

    @property
    def reader_has_left(self) -> bool:
        """Whether the other end of a pipe was closed, which is how `head` says that it has enough."""
        return self.error is not None and self.error.errno in _LEFT

    def write(self, data: Any) -> int:
        """Write what can be written of a bytes-like object, and drop the rest."""
        if self.error is None:
            try:
                return super().write(data) or 0
            except OSError as error:
                self.error = error
                if self.farewell:
                    sys.stderr.write(f"mnistbench: {self.farewell}\n")
                    sys.stderr.flush()
        return memoryview(data).nbytes


def make_robust() -> Output | None:
    """Replace `sys.stdout` and `sys.stderr` by streams that never fail; return where standard output goes.

    It is None if that is not an open file or is a Windows console, which takes all characters and has no
    reader that leaves.
    """
    outputs = {name: _robust(name) for name in ("stdout", "stderr")}
    return outputs["stdout"]


def say(text: str) -> None:
    """Print a line on standard output."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print a message for the user on standard error."""
    write_error(f"mnistbench: {text}")


def write_error(text: str) -> None:
    """Print lines on standard error as they are."""
    _print(text, sys.stderr)


def _print(text: str, stream: TextIO | None) -> None:
    if stream is not None:  # closed by whoever started this process
        stream.write(f"{text}\n")  # click.echo would write UTF-8 where the encoding is ASCII
        stream.flush()


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]], right: Collection[str] = ()
) -> None:
    """Print a table without lines, as wide as the terminal.

    A cell is a text, or a text and its style. The first column never wraps; those in `right` are aligned to
    the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=number == 0)
    for row in rows:
        pairs = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        table.add_row(*(Text(visible(text), style) for text, style in pairs))
    Console(highlight=False).print(table)


def set_farewell(text: str) -> None:
    """Choose what standard error says if standard output can no longer be written to from now on."""
    output = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(output, Output):
        output.farewell = text


def _robust(name: str) -> Output | None:
    stream = getattr(sys, name)
    try:
        descriptor, is_terminal = stream.fileno(), stream.isatty()
    except (AttributeError, OSError):  # closed by whoever started this process, or an object of another kind
        return None
    if sys.platform == "win32" and is_terminal:
        return None
    stream.flush()
    output = Output(descriptor)
    # Python flushes a terminal's output after every line, and everything after every write with -u.
    by_line = is_terminal or stream.line_buffering or stream.write_through
    robust = io.TextIOWrapper(
        io.BufferedWriter(output), encoding=stream.encoding, errors="replace", line_buffering=by_line
    )
    setattr(sys, name, robust)
    return output
