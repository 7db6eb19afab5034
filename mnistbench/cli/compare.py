"""`mnistbench compare`: what changed from one run to another."""

from typing import TYPE_CHECKING, Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import say
from mnistbench.text import RESULTS

if TYPE_CHECKING:
    from mnistbench.runs.folder import RunFolder


@app.command(epilog="Example:  mnistbench compare results/reference/standard my-run --fail-on-regression")
def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="The earlier run: its name or folder.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="The later run.")],
    markdown: options.Markdown = False,
    fail_on_regression: options.Regression = False,
    margin: options.MarginOfComparison = None,
    results: options.Results = RESULTS,
) -> None:
    """Print what really changed from one run to another: environment, accuracy, times."""
    from mnistbench.runs.folder import find_run

    earlier, later = find_run(results, run_a), find_run(results, run_b)
    regressed = print_comparison(earlier, later, markdown=markdown, margin=margin)
    raise typer.Exit(int(fail_on_regression and regressed))


def print_comparison(
    earlier: "RunFolder", later: "RunFolder", *, markdown: bool, margin: float | None = None
) -> bool:
    """Print what `changes.compare` finds between two runs; return whether something became worse."""
    from rich.console import Console

    from mnistbench.analysis.changes import compare as compared
    from mnistbench.report import changes

    comparison = compared(earlier, later, margin)
    if markdown:
        say(changes.markdown(comparison).removesuffix("\n"))
    else:
        changes.show(comparison, Console(highlight=False))
    return bool(comparison.regressions)
