"""The commands; each wires the modules of the package together and holds no logic of its own."""

import importlib
import os
import sys
from typing import Annotated

import typer

from mnistbench.cli.options import app
from mnistbench.cli.output import complain, make_robust, say
from mnistbench.errors import MnistbenchError

__all__ = ["app", "main"]

# One module each; `--help` lists the commands in this order.
for _command in (
    *("run", "list_", "runs", "show", "report", "compare"),
    *("repeat", "audit", "verify", "ensemble", "fetch"),
):
    importlib.import_module(f"{__name__}.{_command}")


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line on stderr and its exit status."""
    sys.argv[1:] = [_with_home(argument) for argument in sys.argv[1:]]
    output = make_robust()
    status = _run([argument for argument in sys.argv[1:] if argument != "--debug"])
    if sys.stdout is not None:
        sys.stdout.flush()
    if output is not None and output.error is not None and not output.reader_has_left:
        complain(f"the output could not be written: {output.error.strerror}.")
        status = status or 1
    sys.exit(status)


def _with_home(argument: str) -> str:
    """Expand the `~` of a path where shells do not: after `--option=` and within quotes."""
    option, equals, value = argument.partition("=")
    if option.startswith("--") and equals:
        return f"{option}={os.path.expanduser(value)}"  # noqa: PTH111 - Path() would change a URL
    return os.path.expanduser(argument)  # noqa: PTH111


def _run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    debug = "--debug" in sys.argv[1:]
    try:
        app(args=arguments, prog_name="mnistbench")
    except SystemExit as end:  # how click ends every command
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except MnistbenchError as error:
        if debug:
            raise
        complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:  # before a run began, or after it ended: a run handles its own interruption
        complain("interrupted; finished work is kept.")
        return 130  # 128 + SIGINT, as shells report it
    except Exception as error:
        if debug:
            raise
        complain(
            f"internal error: {type(error).__name__}: {error}\n"
            "Add --debug to see where it happened; please report it."
        )
        return 1
    return 0


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Benchmark classical machine learning on MNIST, with numbers that can be checked."""
    del debug  # read by `main`, anywhere on the command line
    if version:
        from mnistbench import __version__

        say(f"mnistbench {__version__}")
        raise typer.Exit
