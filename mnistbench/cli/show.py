"""The commands that show what there is: models, suites, data, runs and their reports."""

from pathlib import Path
from typing import Annotated

import typer

from mnistbench.cli.terminal import (
    CacheOption,
    ModelsOption,
    OfflineOption,
    ResultsOption,
    register,
    say,
    suites,
)
from mnistbench.errors import MnistbenchError, UsageError, unknown
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.options import parse_names
from mnistbench.text import EXTRA_FORMATS, FORMATS, PAGES


@register(name="list", epilog="Example:  mnistbench list --models my_models")
def list_(models: ModelsOption = None) -> None:
    """List the models with their parameters, and the suites."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.text import visible

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("summary")
    table.add_column("parameters", style="dim")
    for model in discover([builtin_folder(), *(models or [])]).values():
        summary = Text(visible(model.summary))
        if model.problem is not None:
            summary = Text(visible(f"cannot run: {model.problem}"), style="red")
        parameters = ", ".join(f"{name}={value!r}" for name, value in model.parameters.items())
        table.add_row(Text(visible(model.name)), summary, Text(visible(parameters)))
    console.print(table)
    console.print()
    listed = Table(box=None, pad_edge=False, header_style="bold")
    listed.add_column("suite", no_wrap=True)
    listed.add_column("summary")
    for suite in suites().values():
        listed.add_row(Text(suite.name), Text(suite.summary))
    console.print(listed)


@register(epilog="Examples:  mnistbench fetch  |  mnistbench fetch --from /media/stick/mnist")
def fetch(
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="A folder with the four MNIST files, or a mirror's URL.", metavar="PLACE"
        ),
    ] = None,
    cache_dir: CacheOption = None,
    offline: OfflineOption = False,
) -> None:
    """Fetch MNIST into the cache, once, and check every byte."""
    from mnistbench.datasets import cache_folder, fetch_mnist

    data = fetch_mnist(cache=cache_folder(cache_dir), source=source, offline=offline, show_progress=True)
    say(
        f"{data.title}: {data.train_count:,} training and {data.test_count:,} test images "
        f"from {data.source}, verified, in {data.arrays_folder}"
    )


@register(
    epilog="Examples:  mnistbench report 20260101-120000-standard-mnist --format json,latex  |  "
    "mnistbench report before after"
)
def report(
    run_names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="A run's name or folder; the newest if left out. Several go side by side.",
        ),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format", help=f"Also written: {', '.join(EXTRA_FORMATS)}; {', '.join(PAGES)} always are."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the report of several runs goes.", metavar="FOLDER")
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Write the report of a run again from its records, or one of several runs; nothing is trained."""
    from mnistbench.report import write_report, write_side_by_side
    from mnistbench.runs.folder import find_run

    wanted = parse_names(formats, "--format") if formats is not None else ()
    for name in wanted:
        if name not in FORMATS:
            raise UsageError(unknown("format", name, FORMATS))
    folders = [find_run(results, name) for name in run_names or (None,)]
    if len(folders) == 1:
        if output is not None:
            raise UsageError("--output is for the report of several runs; one run's report is in its folder.")
        say(str(write_report(folders[0], results, wanted)))
        return
    if set(wanted) - {"md", "html"}:
        raise UsageError(
            "the report of several runs is written as md and html; ask one run for other formats."
        )
    place = output or results / f"side-by-side-{'-and-'.join(folder.name for folder in folders)}"[:120]
    say(str(write_side_by_side(folders, place)))


@register(epilog="Example:  mnistbench show 20260101-120000-standard-mnist")
def show(
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder; the newest if left out.")
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Print a run's report in the terminal, with small plots; nothing is written."""
    from rich.console import Console

    from mnistbench.analysis.contents import read_contents
    from mnistbench.report.terminal import rendered
    from mnistbench.runs.folder import find_run

    console = Console(highlight=False)
    for part in rendered(read_contents(find_run(results, run_name)), console.width):
        console.print(part)


@register(epilog="Example:  mnistbench runs --results results/reference")
def runs(results: ResultsOption = Path("results")) -> None:
    """List the runs, oldest first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.runs.folder import find_runs
    from mnistbench.text import command, visible

    folders = find_runs(results)
    if not folders:
        first = command("run", "--suite", "quick", results=results)
        say(f"No runs in {results} yet; `{first}` makes one in under a minute.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "data set", "trials", "ok", "state"):
        table.add_column(heading, justify="right" if heading in ("trials", "ok") else "left", no_wrap=True)
    for folder in folders:
        try:
            info, records = folder.info(), folder.records()
        except MnistbenchError as error:
            table.add_row(Text(visible(folder.name)), "", "", "", Text(visible(f"cannot be read: {error}")))
            continue
        ok = sum(record.failure is None for record in records)
        state = (
            "complete" if len(records) == len(info.trials) else f"{len(records)} of {len(info.trials)} done"
        )
        table.add_row(
            Text(visible(folder.name)),
            Text(visible(info.dataset.name)),
            str(len(info.trials)),
            str(ok),
            state,
        )
    Console(highlight=False).print(table)
