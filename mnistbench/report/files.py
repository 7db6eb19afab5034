"""Writes the report of one run: its pages, its figures and its tables."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from mnistbench.analysis import tables
from mnistbench.analysis.contents import Contents, read_contents
from mnistbench.errors import MnistbenchError
from mnistbench.report import exports, html, markdown
from mnistbench.report.page import make_page
from mnistbench.runs.folder import RunFolder


def write(folder: RunFolder, results: Path | None, formats: Collection[str], cache: Path) -> Path:
    """Write the report of one run; see `mnistbench.report.write_report`."""
    contents = read_contents(folder)
    info, exported = contents.info, _exported(contents, formats)
    try:
        page = make_page(folder, contents, cache)
        _write_all(folder, "figures", ((f"{stem}.svg", svg) for stem, svg in page.figures.items()))
        frames = contents.frames.items()
        csv = ((f"{stem}.csv", tables.csv(frame, info, exact=stem == "trials")) for stem, frame in frames)
        _write_all(folder, "tables", csv)
        if exported:
            _write_all(folder, "exports", exported.items())
        folder.write("report.md", markdown.page_text(page, "").encode())
        folder.write("report.html", html.page_bytes(page))
        if results is not None and folder.is_newest_of(results):
            prefix = Path(os.path.relpath(folder.path, results)).as_posix() + "/"
            RunFolder(results).write("report.md", markdown.page_text(page, prefix).encode())
    except OSError as error:
        raise MnistbenchError(
            f"cannot write the report into {folder.path}: {error.strerror or error}. The records are kept; "
            f"`{folder.command('report')}` writes it once there is room."
        ) from error
    return folder.path / "report.md"


def _exported(contents: Contents, formats: Collection[str]) -> dict[str, bytes]:
    """Return the files of the formats beside the pages, by name."""
    files = {}
    if "json" in formats:
        files["report.json"] = exports.json_file(contents)
    if "latex" in formats:
        files["tables.tex"] = exports.latex_file(contents)
    if "parquet" in formats:
        files |= {f"{name}.parquet": content for name, content in exports.parquet_files(contents).items()}
    return files


def _write_all(folder: RunFolder, kind: str, files: Iterable[tuple[str, bytes]]) -> None:
    """Write generated files into a folder of the run, and take away those of an earlier report."""
    place = folder.path / kind
    place.mkdir(exist_ok=True)
    written = set()
    for name, content in files:
        folder.write(f"{kind}/{name}", content)
        written.add(name)
    for old in place.iterdir():
        if old.name not in written and old.suffix in (".svg", ".csv", ".parquet"):
            old.unlink()
