"""`mnistbench fetch`: MNIST, before a run needs it."""

from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import register
from mnistbench.cli.output import say


@register(epilog="Examples:  mnistbench fetch  |  mnistbench fetch --from /media/stick/mnist")
def fetch(
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="A folder with the four MNIST files, or a mirror's URL.", metavar="PLACE"
        ),
    ] = None,
    cache_dir: options.Cache = None,
    offline: options.Offline = False,
) -> None:
    """Fetch MNIST into the cache, once, and check every byte."""
    from mnistbench.datasets import cache_folder, fetch_mnist

    data = fetch_mnist(cache=cache_folder(cache_dir), source=source, offline=offline, show_progress=True)
    say(
        f"{data.title}: {data.train_count:,} training and {data.test_count:,} test images "
        f"from {data.source}, verified, in {data.arrays_folder}"
    )
