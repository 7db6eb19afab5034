"""What every command shares: the program itself, its common options, and how it complains."""

import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistbench.errors import UsageError
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.trials import Suite, read_suites

if TYPE_CHECKING:
    from mnistbench.datasets import DatasetInfo, Reading

_RULE = "!" * 78

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


def model_names(incomplete: str) -> list[str]:
    """Complete the last of the suite's model names that are typed with commas between them."""
    *done, last = incomplete.split(",")
    return [",".join([*done, name]) for name in discover([builtin_folder()]) if name.startswith(last)]


def complain(text: str) -> None:
    """Print a message for the user on stderr."""
    typer.echo(f"mnistbench: {text}", err=True)


def typed_command() -> list[str]:
    """Return the command line after the program's name, as a run keeps it."""
    return [argument for argument in sys.argv[1:] if argument != "--debug"]


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
    from mnistbench.datasets import MNIST_ADVICE, cache_folder, resolve

    data = resolve(
        spec, cache=cache_folder(cache_dir), reading=reading, offline=offline, show_progress=not quiet
    )
    if data.fallback_reason is not None:
        typer.echo(
            f"{_RULE}\nMNIST is unavailable; using digits instead, whose numbers say nothing about MNIST.\n"
            f"{data.fallback_reason}.\n{MNIST_ADVICE}.\n{_RULE}",
            err=True,
        )
    return data
