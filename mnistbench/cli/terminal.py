"""What every command shares: the program itself, its common options, and how it prints."""

import ast
import inspect
import math
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer

from mnistbench.errors import UsageError
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.options import parse_integers
from mnistbench.plan.trials import Suite, read_suites

if TYPE_CHECKING:
    from mnistbench.datasets import DatasetInfo, Reading

_RULE = "!" * 78
_Function = TypeVar("_Function", bound=Callable[..., None])

app = typer.Typer(
    name="mnistbench",
    help="Benchmark classical machine learning on MNIST, with numbers that can be checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: mnistbench run --suite quick",
)

ResultsOption = Annotated[
    Path,
    typer.Option(
        "--results",
        help="Folder of the runs: a RUN is a name in it, or a path such as ./RUN.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Folder of the data sets; MNISTBENCH_CACHE sets it too.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never use the network.")]
ModelsOption = Annotated[
    list[Path] | None,
    typer.Option("--models", help="A folder of your own model files; may be repeated.", metavar="FOLDER"),
]


PixelMaxOption = Annotated[
    float | None,
    typer.Option(
        "--pixel-max",
        help="White in your own data, such as 1 or 65535: pixels are scaled from 0-N to 0-255.",
        metavar="N",
    ),
]


class Unseen(StrEnum):
    """What becomes of test images of a class that no training image shows."""

    REFUSE = "refuse"
    DROP = "drop"


UnseenOption = Annotated[
    Unseen, typer.Option("--unseen", help="Test images of a class that no training image shows.")
]


def register(*, epilog: str, name: str | None = None) -> Callable[[_Function], _Function]:
    """Make a function a command, named after it unless there is a name; its docstring is the help text."""

    def add(function: _Function) -> _Function:
        return app.command(name, help=_docstring(function), epilog=epilog)(function)

    return add


def _docstring(function: Callable[..., Any]) -> str | None:
    if function.__doc__ is not None:
        return function.__doc__
    source = inspect.getsourcefile(function)  # python -OO keeps no docstrings, and help needs its text
    module = ast.parse(Path(source).read_bytes()) if source is not None else ast.Module([], [])
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            return ast.get_docstring(node)
    return None


def model_names(incomplete: str) -> list[str]:
    """Complete the last of the suite's model names that are typed with commas between them."""
    *done, last = incomplete.split(",")
    return [",".join([*done, name]) for name in discover([builtin_folder()]) if name.startswith(last)]


def say(text: str) -> None:
    """Print a line on stdout."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print a message for the user on stderr."""
    _print(f"mnistbench: {text}", sys.stderr)


def _print(text: str, stream: TextIO | None) -> None:
    if stream is not None:  # closed by whoever started this process
        stream.write(f"{text}\n")  # click.echo would write UTF-8 where the encoding is ASCII
        stream.flush()


def typed_command() -> list[str]:
    """Return the command line after the program's name, as a run keeps it."""
    return [argument for argument in sys.argv[1:] if argument != "--debug"]


def chosen_seeds(text: str | None, *, quiet: bool) -> tuple[int, ...] | None:
    """Read --seeds, and say of a number alone that it is one seed, not so many.

    Raises:
        UsageError: The text is no list of seeds.
    """
    if text is None:
        return None
    seeds = parse_integers(text, "--seeds")
    if len(seeds) == 1 and seeds[0] > 1 and not quiet:
        (seed,) = seeds
        complain(f"--seeds {seed} is one seed, number {seed}; for {seed} seeds type --seeds 0-{seed - 1}.")
    return seeds


def suites() -> dict[str, Suite]:
    """Read the suites that come with the models."""
    return read_suites(builtin_folder() / "suites.toml")


def reading_of(pixel_max: float | None, unseen: Unseen) -> "Reading":
    """Return how the user's own data are to be read.

    Raises:
        UsageError: No pixel can have that value.
    """
    from mnistbench.datasets import Reading

    if pixel_max is not None and not 0 < pixel_max < math.inf:
        raise UsageError(
            f"--pixel-max {pixel_max:g} is not understood; expected a number above 0, e.g. 1, 16 or 65535."
        )
    return Reading(pixel_max, drop_unseen=unseen is Unseen.DROP)


def resolve_dataset(
    spec: str | None,
    cache_dir: Path | None,
    *,
    reading: "Reading",
    offline: bool,
    quiet: bool = False,
) -> "DatasetInfo":
    """Return the data set, fetched and verified, and say so unmissably if another stands in for MNIST.

    Raises:
        DataError: It is unavailable.
    """
    from mnistbench.datasets import cache_folder, mnist_advice, resolve

    data = resolve(
        spec, cache=cache_folder(cache_dir), reading=reading, offline=offline, show_progress=not quiet
    )
    if data.fallback_reason is not None:
        _print(
            f"{_RULE}\nMNIST is unavailable; using digits instead, whose numbers say nothing about MNIST.\n"
            f"{data.fallback_reason}.\n{mnist_advice(cache_folder(cache_dir))}.\n{_RULE}",
            sys.stderr,
        )
    return data
