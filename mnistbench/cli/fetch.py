"""`mnistbench fetch`: a named data set, before a run needs it."""

from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import say


@app.command(
    epilog="Examples:  mnistbench fetch  |  mnistbench fetch fashion-mnist  |  "
    "mnistbench fetch --from /media/stick/mnist --from /media/stick/qmnist"
)
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="See `mnistbench list --datasets`.")
    ] = "mnist",
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="A folder with the data set's files, or a mirror's URL; may be repeated.",
            metavar="PLACE",
        ),
    ] = None,
    cache_dir: options.Cache = None,
    offline: options.Offline = False,
) -> None:
    """Fetch a data set into the cache, once, and check every byte."""
    from mnistbench.datasets import cache_folder
    from mnistbench.datasets import fetch as fetching
    from mnistbench.datasets.named import NAMED
    from mnistbench.errors import UsageError, unknown

    if name not in NAMED:
        raise UsageError(unknown("data set", name, NAMED))
    named = NAMED[name]
    data = fetching.fetch(
        named, cache=cache_folder(cache_dir), sources=source or (), offline=offline, show_progress=True
    )
    groups = f", with the {data.group_noun} of each" if data.groups_sha256 else ""
    say(
        f"{data.title}: {data.train_count:,} training and {data.test_count:,} test images{groups} "
        f"from {data.source}, verified, in {data.arrays_folder}"
    )
    unpublished = [
        name for mirror in named.mirrors for name, published in mirror.files.items() if published is None
    ]
    if unpublished:
        say(
            f"No hashes are published for {', '.join(unpublished)}. Those of the first fetch are kept in "
            "sha256.txt there, and every later fetch must match them."
        )
    if named.writers is not None and not groups:
        files = " and ".join(named.writers.files)
        say(f"Without {files}, the writers are unknown, so intervals treat the images as independent.")
