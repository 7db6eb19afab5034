"""The commands that show what there is: models, suites, data, runs and their reports."""

from pathlib import Path
from typing import Annotated

import typer

from mnistbench.cli.terminal import (
    CacheOption,
    ModelsOption,
    OfflineOption,
    ResultsOption,
    app,
    suites,
)
from mnistbench.errors import MnistbenchError
from mnistbench.registry import builtin_folder, discover


@app.command(name="list", epilog="Example:  mnistbench list --models my_models")
def list_(models: ModelsOption = None) -> None:
    """List the models with their parameters, and the suites."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.formats import visible

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


@app.command(epilog="Examples:  mnistbench fetch  |  mnistbench fetch --from /media/stick/mnist")
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
    typer.echo(
        f"{data.title}: {data.train_count:,} training and {data.test_count:,} test images "
        f"from {data.source}, verified, in {data.arrays_folder}"
    )


@app.command(epilog="Example:  mnistbench report 20260101-120000-standard-mnist")
def report(
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder; the newest if left out.")
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Write the report of a run again from its records; nothing is trained."""
    from mnistbench.report import write_report
    from mnistbench.runs import find_run

    typer.echo(str(write_report(find_run(results, run_name), results)))


@app.command()
def runs(results: ResultsOption = Path("results")) -> None:
    """List the runs, oldest first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.formats import visible
    from mnistbench.runs import find_runs

    folders = find_runs(results)
    if not folders:
        typer.echo(f"No runs in {results} yet; `mnistbench run --suite quick` makes one in under a minute.")
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
