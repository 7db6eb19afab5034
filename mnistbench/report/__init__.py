"""From the records of a run to the pages that people read."""

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from mnistbench.datasets import cache_folder
from mnistbench.runs.folder import RunFolder
from mnistbench.text import EXTRA_FORMATS

__all__ = ["side_by_side_name", "stored_formats", "write_report", "write_side_by_side"]

# It warns of a home folder that it cannot write to, and goes on without it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)


def write_report(
    folder: RunFolder, results: Path | None, formats: Collection[str] = (), cache: Path | None = None
) -> Path:
    """Write a run's report into its folder, from what it holds alone, and return the page's path.

    Only pictures that it lacks come from the data set, if that is in the cache, by default the user's.

    That is `report.md`, `report.html`, `figures/*.svg`, `tables/*.csv`, and what `formats` of `EXTRA_FORMATS`
    ask for: `exports/report.json`, `exports/tables.tex`, `exports/*.parquet`; of these, what is there from an
    earlier report is made anew. Works for an unfinished run too, and says what is missing. If the run is the
    newest in the folder `results`, `report.md` there becomes its report too, its links led into the run.

    Raises:
        MnistbenchError: The run folder is damaged, or the report cannot be written.
        UsageError: A format needs a library that is not installed.
    """
    # Imported only now, because pandas and matplotlib take seconds and `formats` is wanted without them.
    from mnistbench.report import files

    return files.write(folder, results, {*formats, *stored_formats(folder)}, cache or cache_folder())


def stored_formats(folder: RunFolder) -> list[str]:
    """Name the extra formats in which a run's folder has its report."""
    found = {path.suffix for path in (folder.path / "exports").glob("*")}
    return [
        name
        for name, suffix in zip(EXTRA_FORMATS, (".json", ".tex", ".parquet"), strict=True)
        if suffix in found
    ]


def side_by_side_name(folders: Sequence[RunFolder]) -> str:
    """Return a name for the report of several runs: what their names share stands there once."""
    names = [folder.name for folder in folders]
    shared = "".join(os.path.commonprefix(names).rpartition("-")[:2])  # noqa: RUF071 - of names, not of paths
    return f"side-by-side-{shared}{'-and-'.join(name.removeprefix(shared) for name in names)}"[:200]


def write_side_by_side(folders: Sequence[RunFolder], output: Path) -> Path:
    """Write one report of several runs, `report.md` and `report.html`, into a folder; return `report.md`.

    Raises:
        UsageError: The output folder is a run's, or the same run is named twice.
        MnistbenchError: A run folder is damaged, or the report cannot be written.
    """
    from mnistbench.report import side_by_side

    return side_by_side.write(folders, output)
