"""Pictures of a report in light, dark, phone width and print: `screenshots.py REPORT FOLDER`."""

import sys
from pathlib import Path

from support.chromium import browser, opened

WAYS = {
    "light": {"width": 1280},
    "dark": {"width": 1280, "dark": True},
    "phone": {"width": 390, "height": 844},
    "phone-dark": {"width": 390, "height": 844, "dark": True},
}


def main(report: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    with browser() as started:
        for name, way in WAYS.items():
            with opened(started, report, **way) as (page, _):
                if cell := page.query_selector("button[data-cell]"):
                    cell.click()
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=place / f"{name}.png", full_page=True)
                if name == "light":
                    page.pdf(path=place / "print.pdf", format="A4")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
