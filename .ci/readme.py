"""Update the tables of the READMEs: results of the reference runs, and rules from the code.

`python .ci/readme.py` rewrites the README files; with `--check` it fails if that would change one of them.
A marker names its table: `<!-- table: trust -->` begins it, `<!-- end of table: trust -->` ends it.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mnistbench.analysis import trust
from mnistbench.analysis.checks import CHECKS
from mnistbench.analysis.run import COLUMNS, FRAMES, NUMBERED_COLUMNS
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.trials import read_suites

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "benchmarks/README.md", "results/README.md", "mnistbench/README.md")
MARKED = re.compile(
    r"(?P<begin><!-- table: (?P<name>\S+) -->\n).*?(?P<end><!-- end of table: (?P=name) -->)", re.DOTALL
)


def reference_results(run: str) -> str:
    """Return the first table of a reference run's report, as it stands there."""
    report = ROOT / "results" / "reference" / run / "report.md"
    return first_table(report.read_text(encoding="utf-8"))


def trust_rules() -> str:
    return first_table(trust.__doc__ or "")


def advice() -> str:
    rows = ((f"`{c.code}`", c.title, c.rule, c.advice) for c in CHECKS.values())
    return table(("code", "finding", "raised when", "advice"), rows)


def frames() -> str:
    return table(("table", "rows"), ((f"`{name}`", rows) for name, rows in FRAMES.items()))


def columns() -> str:
    numbered = (
        (f"`{prefix}N`", text.replace("{:g}", "N" if divisor == 1 else f"N/{divisor}"))
        for prefix, (text, divisor) in NUMBERED_COLUMNS.items()
    )
    return table(
        ("column", "what it holds"), [*((f"`{name}`", what) for name, what in COLUMNS.items()), *numbered]
    )


def models() -> str:
    suites = read_suites(builtin_folder() / "suites.toml").values()
    rows = (
        (
            f"[`{model.name}`]({model.path.name})",
            model.summary,
            ", ".join(suite.name for suite in suites if model.name in suite.models),
        )
        for model in discover([builtin_folder()]).values()
    )
    return table(("model", "what it is", "suites"), rows)


def suites() -> str:
    read = read_suites(builtin_folder() / "suites.toml")
    return table(("suite", "what it runs"), ((f"`{suite.name}`", suite.summary) for suite in read.values()))


TABLES: dict[str, Callable[[], str]] = {
    "standard": lambda: reference_results("standard"),
    "fashion-mnist": lambda: reference_results("fashion-mnist"),
    "record": lambda: reference_results("record"),
    "models": models,
    "suites": suites,
    "trust": trust_rules,
    "advice": advice,
    "frames": frames,
    "columns": columns,
}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a cell may hold any text."""
    lines = (heads, ["---"] * len(heads), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def first_table(text: str) -> str:
    """Return the first Markdown table of a text, as it stands there."""
    found = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    if found is None:
        raise SystemExit("There is no table where one was expected.")
    return found[0]


def filled(readme: str) -> str:
    """Return a README with each table between the markers that name it."""

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            raise SystemExit(f"There is no table named {name!r}; there are {', '.join(TABLES)}.")
        return match["begin"] + TABLES[name]() + match["end"]

    return MARKED.sub(fill, readme)


def main() -> None:
    """Rewrite the README files, or fail if one is out of date."""
    stale = []
    for name in READMES:
        path = ROOT / name
        current = path.read_text(encoding="utf-8")
        updated = filled(current)
        if current != updated:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(updated, encoding="utf-8")
    if stale and "--check" in sys.argv:
        raise SystemExit(f"Out of date: {', '.join(stale)}. Run `make readme` and commit the result.")


if __name__ == "__main__":
    main()
