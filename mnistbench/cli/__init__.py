"""The commands; each wires the modules of the package together and holds no logic of its own."""

import sys
from typing import Annotated

import typer

from mnistbench.cli import ensemble, run, show, verify
from mnistbench.cli.terminal import app, complain
from mnistbench.errors import MnistbenchError

__all__ = ["app", "ensemble", "main", "run", "show", "verify"]


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line on stderr and its exit status."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(args=arguments, prog_name="mnistbench")
    except MnistbenchError as error:
        if debug:
            raise
        complain(str(error))
        sys.exit(error.exit_status)
    except KeyboardInterrupt:  # before a run began, or after it ended: the run itself knows how to stop
        complain("interrupted; what was done is kept.")
        sys.exit(130)  # 128 + SIGINT, as shells report it
    except BrokenPipeError:  # the reader, head say, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        complain(
            f"an error of mnistbench's own: {type(error).__name__}: {error}\n"
            "Add --debug to see where; please report it."
        )
        sys.exit(1)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Benchmark classical machine learning on MNIST, with numbers that can be checked."""
    del debug  # read by `main`, anywhere on the command line
    if version:
        from mnistbench import __version__

        typer.echo(f"mnistbench {__version__}")
        raise typer.Exit
