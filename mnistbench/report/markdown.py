"""Markdown that reads well rendered and as plain text, and that no name of a model or data set can break.

Templates are safe by default: whatever they print is escaped unless it is a `Markdown` made here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2

from mnistbench.analysis.tables import Table
from mnistbench.report.page import Page
from mnistbench.text import duration, percent, plural, points, visible

# What can start a construct of CommonMark, GitHub's extensions (tables, strikethrough, formulas) or HTML;
# an underscore within a word, as names have it, starts nothing.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~$]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])|:(?=[\w+-]+:)")
# What can start a heading, a list or a rule when a line begins with it.
_LEADING = re.compile(r"^( ?\d*)([#+=.)-])(?=[\s#=-]|$)")


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> str:
    """Return text that shows as itself wherever Markdown is read, on one line, as it would in a terminal."""
    if isinstance(text, Markdown):
        return text
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", visible(_on_one_line(text))))


def code(text: object) -> Markdown:
    """Return text as inline code, with a fence longer than any it holds."""
    shown = visible(_on_one_line(text)).strip()
    fence = "`" * (_longest_run(shown) + 1)
    padding = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return Markdown(f"{fence}{padding}{shown}{padding}{fence}") if shown else Markdown("")


def block(text: str, language: str = "text") -> Markdown:
    """Return text as a fenced block; of a line that was written over (carriage return) the last state."""
    lines = [visible(line.rstrip().rpartition("\r")[2].replace("\t", "    ")) for line in text.split("\n")]
    shown = "\n".join(lines).rstrip()
    fence = "`" * max(3, _longest_run(shown) + 1)
    return Markdown(f"{fence}{language}\n{shown}\n{fence}")


def _on_one_line(text: object) -> str:
    return re.sub(r"[ \t\r\n\f\v]+", " ", str(text))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def image(description: str, address: str) -> Markdown:
    """Return an image with its description."""
    return Markdown(f"![{escape(description)}]({quote(address)})")


def link(text: str, address: str) -> Markdown:
    """Return a link."""
    return Markdown(f"[{escape(text)}]({quote(address)})")


def table(shown: Table) -> Markdown:
    """Return a table of GitHub's kind, its columns padded so that it is aligned as plain text too."""
    cells = [[escape(cell) for cell in row] for row in shown.cells()]
    return grid([escape(column.heading) for column in shown.columns], cells, [c.right for c in shown.columns])


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Markdown:
    """Return a table of cells that are Markdown already; `right` says which columns are right-aligned."""
    widths = [max(3, *(len(line[i]) for line in [heads, *rows])) for i in range(len(heads))]
    rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, right, strict=True)]
    return Markdown("\n".join(_line(cells, widths, right) for cells in [heads, rule, *rows]))


def captioned(shown: Table, notice: str = "") -> Markdown:
    """Return a table below its caption, and below what every table has to say about its images."""
    noted = f" **({escape(notice)})**" if notice else ""
    return Markdown(f"**{escape(shown.caption)}**{noted}\n\n{table(shown)}")


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if r else cell.ljust(width)
        for cell, width, r in zip(cells, widths, right, strict=True)
    )
    return "| " + " | ".join(padded) + " |"


def page_text(page: Page, prefix: str) -> str:
    """Return the report of one run; `prefix`, "" or a path that ends in "/", leads to the run's folder."""
    functions: dict[str, Callable[..., object]] = {
        "captioned": lambda shown: captioned(shown, page.notice),
        "csv": lambda name, text="": link(text or name, f"{prefix}tables/{name}.csv"),
        "duration": duration,
        "em": lambda text: Markdown(f"*{escape(text)}*"),
        "figure": lambda name, description: image(description, f"{prefix}figures/{name}.svg"),
        "percent": percent,
        "plural": plural,
        "points": points,
        "raw": Markdown,
        "strong": lambda text: Markdown(f"**{escape(text)}**"),
    }
    return render("report.md.jinja", {**page.names, "prefix": prefix}, functions)


def render(template: str, values: Mapping[str, Any], functions: Mapping[str, Callable[..., object]]) -> str:
    """Fill one of this package's templates, which may call the functions, and `code`, `block` and `link`."""
    text = _environment().get_template(template).render({**functions, **values})
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


@cache
def _environment() -> jinja2.Environment:
    """Return the environment of this package's templates of Markdown, each of which it compiles once."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mnistbench.report"),
        autoescape=False,  # noqa: S701 - that is HTML's; `finalize` escapes every value for Markdown
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(code=code, block=block, link=link)
    return made
