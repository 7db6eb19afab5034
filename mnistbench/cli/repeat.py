"""`mnistbench repeat`: an earlier run again, compared with itself."""

from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.compare import print_comparison
from mnistbench.cli.options import app
from mnistbench.cli.training import INTERRUPTED, Training
from mnistbench.text import RESULTS


@app.command(epilog="Example:  mnistbench repeat results/reference/standard")
def repeat(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="The run to repeat: its name or folder.")],
    markdown: options.Markdown = False,
    fail_on_regression: options.Regression = False,
    results: options.Results = RESULTS,
    cache_dir: options.Cache = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Run exactly the plan of an earlier run again, and compare the two.

    Exit status: as for `mnistbench run`, and 1 on a regression with --fail-on-regression.
    """
    from mnistbench.runs.folder import find_run

    earlier = find_run(results, run_name)
    training = Training(results, cache_dir, offline, quiet)
    (planned,) = training.create([training.plan_again(earlier, earlier.info().trials)])
    status = training.carry_out(planned)
    if status != INTERRUPTED:
        regressed = print_comparison(earlier, planned.folder, markdown=markdown)
        status = status or int(fail_on_regression and regressed)
    raise typer.Exit(status)
