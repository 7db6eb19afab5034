"""`mnistbench report`: the pages of one run again, or of several runs together."""

from pathlib import Path
from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import say
from mnistbench.errors import UsageError, unknown
from mnistbench.plan.options import parse_names
from mnistbench.text import EXTRA_FORMATS, FORMATS, PAGES, RESULTS


@app.command(
    epilog="Examples:  mnistbench report 20260101-120000-standard-mnist --format json,latex  |  "
    "mnistbench report before after"
)
def report(
    run_names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="A run's name or folder; the newest by default. Several are reported side by side.",
        ),
    ] = None,
    formats: Annotated[
        options.Names | None,
        typer.Option(
            "--format",
            help=f"More formats: {', '.join(EXTRA_FORMATS)}; {', '.join(PAGES)} are always written.",
            metavar="FORMAT,...",
            parser=lambda text: parse_names(text, "--format"),
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the report of several runs is written.", metavar="FOLDER")
    ] = None,
    results: options.Results = RESULTS,
    cache_dir: options.Cache = None,
) -> None:
    """Write the report of a run again from its records, or one of several runs; nothing is trained."""
    from mnistbench.report import side_by_side_name, write_report, write_side_by_side
    from mnistbench.runs.folder import find_run

    for name in formats or ():
        if name not in FORMATS:
            raise UsageError(unknown("format", name, FORMATS))
    folders = [find_run(results, name) for name in run_names or (None,)]
    if len(folders) == 1:
        if output is not None:
            raise UsageError("--output is for the report of several runs; one run's report is in its folder.")
        say(str(write_report(folders[0], results, formats or (), cache_dir)))
        return
    if set(formats or ()) - {"md", "html"}:
        raise UsageError(
            "the report of several runs is written as md and html; other formats are for one run."
        )
    say(str(write_side_by_side(folders, output or results / side_by_side_name(folders))))
