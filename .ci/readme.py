"""Puts the headline table of each reference run into the README, between its markers.

`python .ci/readme.py` rewrites README.md; with `--check` it only says whether that would change anything.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def headline_table(report: str) -> str:
    """Return the first table of a report, as it stands there."""
    found = re.search(r"(?:^\|.*\n)+", report, re.MULTILINE)
    if found is None:
        raise SystemExit("the report has no table")
    return found[0]


def filled(readme: str) -> str:
    """Return the README with the table of each reference run between the markers that name it."""

    def fill(match: re.Match[str]) -> str:
        report = ROOT / "results" / "reference" / match["run"] / "report.md"
        return match["begin"] + headline_table(report.read_text(encoding="utf-8")) + match["end"]

    marked = r"(?P<begin><!-- (?P<run>[a-z]+): made by [^\n]*-->\n).*?(?P<end><!-- end of (?P=run) -->)"
    return re.sub(marked, fill, readme, flags=re.DOTALL)


def main() -> None:
    """Rewrite README.md, or say that it is stale."""
    path = ROOT / "README.md"
    now = path.read_text(encoding="utf-8")
    then = filled(now)
    if "--check" in sys.argv:
        if now != then:
            raise SystemExit("README.md is stale: `make readme` puts the newest reference tables into it.")
    else:
        path.write_text(then, encoding="utf-8")


if __name__ == "__main__":
    main()
