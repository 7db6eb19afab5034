"""`mnistbench verify`: a report recomputed from what its run stored."""

from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import complain, say
from mnistbench.text import RESULTS


@app.command(epilog="Examples:  mnistbench verify  |  mnistbench verify results/reference")
def verify(
    run_name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run's name or folder, or a folder of runs; the newest run by default."
        ),
    ] = None,
    without_dataset: Annotated[
        bool,
        typer.Option(
            "--without-dataset",
            help="Skip the checks that need the data set: of the stored labels and images.",
        ),
    ] = False,
    results: options.Results = RESULTS,
    cache_dir: options.Cache = None,
) -> None:
    """Recompute every number of a report from the stored predictions, timings and the data set.

    Exit status: 0 if nothing differs, 1 if something does or the data set is
    not in the cache. Each difference is one line.
    """
    from mnistbench import verify as verification
    from mnistbench.datasets import cache_folder
    from mnistbench.runs.folder import find_runs_of
    from mnistbench.text import plural, visible

    failed = False
    for folder in find_runs_of(results, run_name):
        shared = folder.path.parent if folder.path.parent.resolve() == results.resolve() else None
        found = verification.verify(folder, cache=cache_folder(cache_dir), results=shared)
        notes, wrong = found.notes, found.differences
        if without_dataset:
            notes = (*found.unchecked, *notes)
        else:
            wrong += tuple(f"{line}, or add --without-dataset" for line in found.unchecked)
        for note in notes:
            say(visible(f"{found.run}: note: {note}"))
        for line in wrong:
            complain(visible(f"{found.run}: {line}"))
        failed |= bool(wrong)
        if not wrong:
            trials, files = plural(found.trial_count, "trial"), plural(found.file_count, "file")
            predictions = f"{plural(found.prediction_count, 'set')} of predictions"
            say(visible(f"{found.run}: verified: {trials}, {predictions}, and all {files} of its report"))
    raise typer.Exit(int(failed))
