"""The command that lets a run's models vote."""

from pathlib import Path
from typing import Annotated

import typer

from mnistbench.cli.terminal import ResultsOption, register, say


@register(epilog="Example:  mnistbench ensemble record --weights-from record-validation")
def ensemble(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    weights_from: Annotated[
        str,
        typer.Option(metavar="RUN", help="A validation run of the same models, on which weights are chosen."),
    ],
    results: ResultsOption = Path("results"),
) -> None:
    """Let a run's models vote with their stored probabilities, and write its report anew; nothing is trained.

    The weights have the least log loss on the validation run's images, and never see a test image.
    """
    from mnistbench.analysis.ensemble import choose_ensemble, store_ensemble
    from mnistbench.report import write_report
    from mnistbench.runs.folder import find_run
    from mnistbench.text import visible

    folder = find_run(results, run_name)
    chosen = choose_ensemble(folder, find_run(results, weights_from))
    store_ensemble(folder, chosen)
    for member in chosen.members:
        say(visible(f"{member.weight:.3f}  {member.model}"))
    say(f"Sharpness {chosen.sharpness:.3f}")
    if chosen.left_out:
        say(visible(f"Excluded: {', '.join(chosen.left_out)}"))
    say(
        f"On the hold-out: {100 * chosen.holdout_accuracy:.2f} % right, "
        f"log loss {chosen.holdout_log_loss:.4f}"
    )
    say(str(write_report(folder, folder.path.parent)))
