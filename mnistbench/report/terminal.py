"""The report in a terminal: its tables, and bars of the errors, within any width."""

from collections.abc import Iterator, Sequence

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from mnistbench.analysis.checks import joined
from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.contents import Contents
from mnistbench.analysis.headline import notice, title
from mnistbench.text import count, visible

_TABLES = (
    "results",
    "ensemble",
    "failures",
    "quality",
    "growth",
    "time_to_accuracy",
    "spreads",
    "timings",
    "serving",
    "doubts",
)
_PLOTTED = 24


def rendered(contents: Contents, width: int) -> Iterator[RenderableType]:
    """Yield what is printed of a report, in its order, for a terminal of so many columns."""
    yield Text(visible(f"{title(contents.info)}, run {contents.info.name}"), style="bold")
    yield Text(visible(contents.headline))
    for name in _TABLES:
        if name in contents.tables:
            yield from _table(contents, name, width)
        if name == "results":
            rows = [row for row in contents.rows if row.error_count is not None][:_PLOTTED]
            if rows:
                yield Padding(_bars(rows), (1, 0, 0, 0))
    yield Text("")
    for finding in joined(contents.findings):
        yield Text(visible(f"{finding.code} {finding.label}: {finding.message}. {finding.advice}"))


def _table(contents: Contents, name: str, width: int) -> Iterator[RenderableType]:
    """Turn a table into grids as wide as the terminal: as many as its columns need, each with the first."""
    shown, noted = contents.tables[name], notice(contents.info)
    rows = shown.rows()
    cells = [[Text(visible(column.cell(row))) for row in rows] for column in shown.columns]
    widths = [
        max(cell_len(text) for text in [*column.heading.split(), *(cell.plain for cell in each), ""])
        for column, each in zip(shown.columns, cells, strict=True)
    ]
    first, *others = range(len(shown.columns))
    groups: list[list[int]] = [[first]]
    for index in others:
        taken = sum(widths[each] + 1 for each in groups[-1])
        if len(groups[-1]) > 1 and taken + widths[index] + 1 > width:
            groups.append([first])
        groups[-1].append(index)
    for number, group in enumerate(groups):
        caption = f"{shown.caption}{f' ({noted})' if noted else ''}{', continued' if number else ''}"
        yield Padding(Text(visible(caption), style="italic"), (1, 0, 0, 0))
        grid = Grid(box=None, padding=(0, 1, 0, 0))
        for index in group:
            column = shown.columns[index]
            grid.add_column(
                Text(column.heading, style="dim"),
                justify="right" if column.right else "left",
                width=min(widths[index], width // 2),
                overflow="fold",
            )
        for row in zip(*(cells[index] for index in group), strict=True):
            grid.add_row(*row)
        yield grid
    if shown.note:
        yield Padding(Text(visible(shown.note), style="dim"), (1, 0, 0, 0))


def _bars(rows: Sequence[Configuration]) -> Grid:
    """Draw how many images each model gets wrong, as bars from zero."""
    grid = Grid(title=Text("Wrong images", style="italic"), title_justify="left", box=None, pad_edge=False)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    grid.add_column(max_width=40)  # in a narrow terminal the bars give way to the names
    grid.add_column(justify="right", no_wrap=True)
    most = max(row.error_count or 0.0 for row in rows) or 1.0
    for row in rows:
        wrong = row.error_count or 0.0
        grid.add_row(Text(visible(row.label)), Bar(most, 0, wrong, color="blue"), Text(count(wrong)))
    return grid
