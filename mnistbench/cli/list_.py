"""`mnistbench list`: the models and the suites, or the data sets."""

from typing import Annotated
from urllib.parse import urlsplit

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import print_table, say
from mnistbench.plan.models import builtin_folder, discover


@app.command("list", epilog="Examples:  mnistbench list --models my_models  |  mnistbench list --datasets")
def list_(
    models: options.Models = None,
    datasets: Annotated[bool, typer.Option("--datasets", help="List the data sets instead.")] = False,
) -> None:
    """List the models with their parameters, and the suites; or the data sets."""
    if datasets:
        _list_datasets()
        return
    rows = []
    for model in discover([builtin_folder(), *(models or [])]).values():
        problem = None if model.problem is None else (f"cannot run: {model.problem}", "red")
        parameters = ", ".join(f"{name}={value!r}" for name, value in model.parameters.items())
        rows.append((model.name, problem or model.summary, (parameters, "dim")))
    print_table(("model", "summary", "parameters"), rows)
    say("")
    print_table(("suite", "summary"), [(suite.name, suite.summary) for suite in options.suites().values()])


def _list_datasets() -> None:
    from mnistbench.datasets.named import NAMED

    rows = [
        (
            named.name,
            f"{named.train_count:,}",
            f"{named.test_count:,}",
            str(named.class_count),
            named.licence,
            urlsplit(named.mirrors[0].url).netloc if named.mirrors else named.origin,
        )
        for named in NAMED.values()
    ]
    heads = ("data set", "training", "test", "classes", "licence", "from")
    print_table(heads, rows, right=("training", "test", "classes"))
