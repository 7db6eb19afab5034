"""`mnistbench runs`: what is in the folder of the runs."""

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import print_table, say
from mnistbench.errors import MnistbenchError
from mnistbench.text import RESULTS


@app.command(epilog="Example:  mnistbench runs --results results/reference")
def runs(results: options.Results = RESULTS) -> None:
    """List the runs, oldest first."""
    from mnistbench.runs.folder import find_runs
    from mnistbench.text import command

    rows = []
    for folder in find_runs(results):
        try:
            info, records = folder.info(), folder.records()
        except MnistbenchError as error:
            rows.append((folder.name, "", "", "", f"cannot be read: {error}"))
            continue
        ended, planned = len(records), len(info.trials)
        state = "complete" if ended == planned else f"{ended} of {planned} done"
        ok = sum(record.failure is None for record in records)
        rows.append((folder.name, info.dataset.name, str(planned), str(ok), state))
    if rows:
        print_table(("run", "data set", "trials", "ok", "state"), rows, right=("trials", "ok"))
    else:
        first = command("run", "--suite", "quick", results=results)
        say(f"No runs in {results} yet; `{first}` makes one in under a minute.")
