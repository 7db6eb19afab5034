"""`mnistbench show`: a report in the terminal."""

from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.text import RESULTS


@app.command(epilog="Example:  mnistbench show 20260101-120000-standard-mnist")
def show(
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder; the newest by default.")
    ] = None,
    results: options.Results = RESULTS,
) -> None:
    """Print a run's report in the terminal; no file is written."""
    from rich.console import Console

    from mnistbench.analysis.contents import read_contents
    from mnistbench.report.terminal import rendered
    from mnistbench.runs.folder import find_run

    console = Console(highlight=False)
    for part in rendered(read_contents(find_run(results, run_name)), console.width):
        console.print(part)
