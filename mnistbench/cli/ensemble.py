"""`mnistbench ensemble`: a run's models, weighted and combined."""

from typing import Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app
from mnistbench.cli.output import say
from mnistbench.text import RESULTS


@app.command(epilog="Example:  mnistbench ensemble record --weights-from record-validation")
def ensemble(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    weights_from: Annotated[
        str,
        typer.Option(
            metavar="RUN,...",
            help="A validation run of the same models, on which the weights are chosen, or several of them.",
        ),
    ],
    results: options.Results = RESULTS,
) -> None:
    """Combine a run's models by their stored probabilities, and write its report again; nothing is trained.

    The weights minimise the log loss on the validation runs' images; no test image takes part.
    """
    from mnistbench.analysis.ensemble import choose_ensemble, store_ensemble
    from mnistbench.plan.options import parse_names
    from mnistbench.report import write_report
    from mnistbench.runs.folder import find_run
    from mnistbench.text import visible

    folder = find_run(results, run_name)
    validations = [find_run(results, name) for name in parse_names(weights_from, "--weights-from")]
    chosen = choose_ensemble(folder, validations)
    store_ensemble(folder, chosen)
    for member in chosen.members:
        say(visible(f"{member.weight:.3f}  {member.model}"))
    say(f"Sharpness {chosen.sharpness:.3f}")
    if chosen.left_out:
        say(visible(f"Excluded: {', '.join(chosen.left_out)}"))
    say(
        f"On the images held out: accuracy {100 * chosen.holdout_accuracy:.2f} %, "
        f"log loss {chosen.holdout_log_loss:.4f}"
    )
    say(str(write_report(folder, folder.path.parent)))
