"""The program, and the options that several of its commands have."""

import functools
import math
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import typer

from mnistbench.errors import UsageError
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.options import parse_integers, parse_margin, parse_names, parse_sizes
from mnistbench.plan.trials import Suite, read_suites

app = typer.Typer(
    name="mnistbench",
    help="Benchmark classical machine learning on MNIST, with numbers that can be checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: mnistbench run --suite quick",
)


def suites() -> dict[str, Suite]:
    """Read the suites that come with the models."""
    return read_suites(builtin_folder() / "suites.toml")


def _completed_models(incomplete: str) -> list[str]:
    """Complete the last of several model names that are typed with commas between them."""
    *done, last = incomplete.split(",")
    return [",".join([*done, name]) for name in discover([builtin_folder()]) if name.startswith(last)]


def _checked_pixel_max(pixel_max: float | None) -> float | None:
    if pixel_max is not None and not 0 < pixel_max < math.inf:
        raise UsageError(
            f"--pixel-max {pixel_max:g} is not understood; expected a number above 0, e.g. 1, 16 or 65535."
        )
    return pixel_max


def _parsed_seeds(text: str) -> tuple[int, ...]:
    return parse_integers(text, "--seeds")


# Lists as they are parsed: typer would read `tuple[...]` as an option that takes several words.
Names = NewType("Names", tuple[str, ...])
Integers = NewType("Integers", tuple[int, ...])
Sizes = NewType("Sizes", tuple[int | None, ...])

PLAN = "Plan"
"""The heading, in a command's help, of the options that make up the plan of a new run."""


def of_plan(help_text: str, metavar: str | None = None, *names: str, **more: Any) -> Any:
    """Return a typer option that belongs to the plan of a new run; `more` is as in `typer.Option`."""
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=PLAN, **more)


def models_of_plan(name: str, help_text: str) -> Any:
    """Return an option of the plan that takes names of models, which a shell completes."""
    parser = functools.partial(parse_names, option=name)
    parser.__name__ = name  # type: ignore[attr-defined] # typer asks for it
    return of_plan(help_text, "MODEL,...", name, parser=parser, autocompletion=_completed_models)


Only = Annotated[Names | None, models_of_plan("--only", "Run only these models.")]
Dataset = Annotated[
    str | None,
    of_plan(
        "Names (see `mnistbench list --datasets`), folders of IDX files, .npz files; MNIST by default.",
        "DATASET,...",
    ),
]
PixelMax = Annotated[
    float | None,
    of_plan(
        "White in your own data, such as 1 or 65535; pixels are scaled from 0-N to 0-255.",
        "N",
        callback=_checked_pixel_max,
    ),
]
Unseen = Annotated[
    Literal["refuse", "drop"], of_plan("What to do with test images of classes that have no training images.")
]
TrainSize = Annotated[
    Sizes | None,
    of_plan(
        "Numbers of training images, stratified by class, such as 1000,5000; 0 is all.",
        "N,...",
        parser=parse_sizes,
    ),
]
Seeds = Annotated[
    Integers | None, of_plan("Seeds: 0,1,2 or 0-2; 3 is seed 3 alone.", "SEED,...", parser=_parsed_seeds)
]
Threads = Annotated[
    str | None, of_plan("Threads of each trial; by default its share of the free cores.", "N,...")
]
Timeout = Annotated[float | None, of_plan("Time limit of each trial in seconds.", "SECONDS", min=0.001)]
Models = Annotated[list[Path] | None, of_plan("A folder of your own model files; may be repeated.", "FOLDER")]
_MARGIN = (
    "Models whose accuracies differ by at most this many percentage points count as practically the same."
)
Margin = Annotated[float | None, of_plan(f"{_MARGIN} 0.2 by default.", "POINTS", parser=parse_margin)]
MarginOfComparison = Annotated[
    float | None, typer.Option(help=f"{_MARGIN} RUN_A's by default.", metavar="POINTS", parser=parse_margin)
]
Results = Annotated[
    Path,
    typer.Option(
        help="Folder of the runs: a RUN is a name in it, or a path such as ./RUN.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data sets; MNISTBENCH_CACHE sets it too.", metavar="FOLDER", file_okay=False
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and findings.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown, for example for a pull request.")]
Regression = Annotated[
    bool,
    typer.Option(
        "--fail-on-regression",
        help="Exit with status 1 if a model now fails, is significantly less accurate or clearly slower.",
    ),
]
