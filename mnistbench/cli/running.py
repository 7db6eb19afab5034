"""What all commands that train do: run the trials of a plan, write the report and say how it ended."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.cli.interruptions import Interruptions
from mnistbench.cli.output import set_farewell
from mnistbench.cli.terminal import complain, say

if TYPE_CHECKING:
    from mnistbench.cli.live import Silent
    from mnistbench.datasets import DatasetInfo
    from mnistbench.execution.local import Backend
    from mnistbench.plan.models import ModelFile
    from mnistbench.runs.folder import RunFolder

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def carry_out(
    folder: "RunFolder",
    models: "Mapping[str, ModelFile]",
    data: "DatasetInfo",
    *,
    backend: "Backend | None" = None,
    quiet: bool,
    json: bool = False,
) -> bool:
    """Run the trials of a run folder that have no record yet, and show them meanwhile.

    Returns:
        Whether all of them have ended; False after an interruption.
    """
    from mnistbench.execution import runner

    set_farewell(
        f"nobody reads the output any more; the run goes on without it. See {folder.path / 'report.md'}."
    )
    try:
        with (
            Interruptions() as interruptions,
            _observer(folder, quiet=quiet, json=json) as observer,
            interruptions.allowed(),
        ):
            return runner.run(folder, models, data, observer, backend)
    except KeyboardInterrupt:  # before the first trial began, or after the last one had ended
        return len(folder.records()) == len(folder.info().trials)


def finish(
    folder: "RunFolder", results: Path, backend: Sequence[str] = (), *, complete: bool, quiet: bool
) -> int:
    """Write the report and say how the run ended.

    Args:
        folder: The run.
        results: The folder of the runs.
        backend: The options that say where the trials ran, for the command that resumes.
        complete: Whether all trials have ended.
        quiet: Say nothing unless it was interrupted.

    Returns:
        The exit status: 0 if all trials are ok, 1 if some are not, 130 if it was interrupted.
    """
    from mnistbench.analysis.configurations import configurations, status_counts
    from mnistbench.report import write_report

    page = write_report(folder, results)
    info, records = folder.info(), folder.records()
    if not quiet:
        say(f"{status_counts(configurations(info, records))}: see {page}")
    if not complete:
        resume = folder.command("run", *backend, "--resume")
        complain(f"interrupted; finished trials are kept. `{resume}` runs the rest.")
        return INTERRUPTED
    return 1 if any(record.failure is not None for record in records) else 0


def dataset_spec(typed: str | None, data: "DatasetInfo") -> str:
    """Return what names the data set from anywhere: a path typed by the user is made absolute."""
    return data.name if typed in (None, "mnist", "digits") else str(Path(str(typed)).resolve())


def _observer(folder: "RunFolder", *, quiet: bool, json: bool) -> "Silent":
    from rich.console import Console

    from mnistbench.cli.live import JsonLines, LiveTable, PlainLines, Silent

    shown: Silent = Silent()
    if not quiet:
        console = Console(stderr=json)
        info, finished = folder.info(), folder.records()
        if console.is_terminal:
            from mnistbench.cli.eta import earlier_records

            earlier = earlier_records(folder.path.parent, info.environment.host)
            shown = LiveTable(console, info.trials, finished, earlier, info.jobs)
        else:
            shown = PlainLines(console, info.trials, finished)
    return JsonLines(shown) if json else shown
