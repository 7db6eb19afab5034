"""The report in a terminal: its tables, and two plots that need no more than 80 columns."""

import math
from collections.abc import Iterator, Sequence

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from mnistbench.analysis.checks import told_once
from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.contents import Contents
from mnistbench.analysis.headline import notice, title
from mnistbench.analysis.tables import Column
from mnistbench.text import count, duration, visible

_SHOWN = (
    "results",
    "ensemble",
    "failures",
    "quality",
    "time_to_accuracy",
    "spreads",
    "timings",
    "serving",
    "doubts",
)
_PLOTTED = 24
_WIDTH, _HEIGHT = 56, 12  # of the field of points, in characters


def rendered(said: Contents, width: int) -> Iterator[RenderableType]:
    """Yield what is printed of a report, in its order, for a terminal of so many columns."""
    yield Text(visible(f"{title(said.info)}, run {said.info.name}"), style="bold")
    yield Text(visible(said.headline))
    for name in _SHOWN:
        if name in said.tables:
            yield from _table(said, name, width)
        if name == "results":
            rows = [row for row in said.rows if row.error_count is not None][:_PLOTTED]
            if rows:
                yield Padding(_bars(rows), (1, 0, 0, 0))
            if len(rows) > 1:
                yield Padding(_field(rows), (1, 0, 0, 0))
    yield Text("")
    for finding in told_once(said.findings):
        yield Text(visible(f"{finding.code} {finding.label}: {finding.message}. {finding.advice}"))


def _table(said: Contents, name: str, width: int) -> Iterator[RenderableType]:
    """Turn a table into grids as wide as the terminal: as many as its columns need, each with the first."""
    shown, told = said.tables[name], notice(said.info)
    records = shown.frame.to_dict("records")
    cells = [[_cell(column, row) for row in records] for column in shown.columns]
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
        caption = f"{shown.caption}{f' ({told})' if told else ''}{', continued' if number else ''}"
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


def _cell(column: Column, row: dict[object, object]) -> Text:
    written = column.show(row[column.name])
    return Text("".join(c if c in "\N{NO-BREAK SPACE}" else visible(c) for c in written))


def _bars(rows: Sequence[Configuration]) -> Grid:
    """Draw how many images each model gets wrong, as bars from zero."""
    grid = Grid(title=Text("Wrong images", style="italic"), title_justify="left", box=None, pad_edge=False)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    grid.add_column(width=40)
    grid.add_column(justify="right", no_wrap=True)
    most = max(row.error_count or 0.0 for row in rows) or 1.0
    for row in rows:
        wrong = row.error_count or 0.0
        grid.add_row(Text(visible(row.label)), Bar(most, 0, wrong, color="blue"), Text(count(wrong)))
    return grid


def _field(rows: Sequence[Configuration]) -> Text:
    """Draw errors against training time, both logarithmic, each model as a letter."""
    points = [
        (row.label, row.fit_seconds, max(row.error_count or 0.0, 0.5))
        for row in rows
        if row.fit_seconds is not None and row.fit_seconds > 0
    ]
    if not points:
        return Text("")
    across = [math.log(seconds) for _, seconds, _ in points]
    up = [math.log(errors) for _, _, errors in points]
    field = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for number, (x, y) in enumerate(zip(across, up, strict=True)):
        row = _place(y, up, _HEIGHT)
        column = _place(x, across, _WIDTH)
        while field[row][column] != " " and column < _WIDTH - 1:  # beside another of the same place
            column += 1
        field[row][column] = chr(ord("a") + number)
    seconds = [each for _, each, _ in points]
    errors = [each for _, _, each in points]
    lines = ["Wrong images against training time, both logarithmic"]
    for number, line in enumerate(field):
        edge = {0: count(min(errors)), _HEIGHT - 1: count(max(errors))}.get(number, "")
        lines.append(f"{edge:>7} |{''.join(line)}".rstrip())
    lines.append(" " * 8 + "+" + "-" * _WIDTH)
    first, last = duration(min(seconds)), duration(max(seconds))
    lines.append(" " * 9 + first + last.rjust(_WIDTH - len(first)))
    names = [f"{chr(ord('a') + number)} {visible(label)}" for number, (label, _, _) in enumerate(points)]
    return Text("\n".join(lines) + "\n" + ", ".join(names))


def _place(value: float, values: Sequence[float], size: int) -> int:
    low, high = min(values), max(values)
    return round((value - low) / (high - low) * (size - 1)) if high > low else 0
