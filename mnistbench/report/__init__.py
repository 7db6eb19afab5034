"""From the records of a run to the pages that people read."""

from pathlib import Path

from mnistbench.runs import RunFolder

__all__ = ["write_report"]


def write_report(folder: RunFolder, results: Path | None) -> Path:
    """Write `report.md`, `figures/*.svg` and `tables/*.csv` into a run folder, from what it holds alone.

    Works for a run that is not finished: what is missing is said, never invented.

    Args:
        folder: The run.
        results: The folder of all runs: if this run is its newest, `report.md` there becomes this run's
            report, with its links led into the run folder. None leaves it alone.

    Returns:
        The path of the run's own report.

    Raises:
        MnistbenchError: The run folder is damaged, or the report cannot be written.
    """
    # Imported only now, because pandas and matplotlib take seconds and `formats` is wanted without them.
    from mnistbench.report import page

    return page.write(folder, results)
