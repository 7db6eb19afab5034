"""Makes `report.html`: the whole report in one file that opens from disk and needs no network.

It shows the same contents as the Markdown report. Everything printed is escaped; the page's own policy
forbids it to load anything or to run any script but its own.
"""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from mnistbench.analysis.tables import Column, Table, text, verdict_column
from mnistbench.report.gallery import FITS_SHOWN, HARD_SHOWN, MISTAKES_A_CELL, Gallery, by_cell
from mnistbench.report.page import Page
from mnistbench.text import MISSING, count, duration, percent, plural, points, three_digits, visible

ROWS_SHOWN = 500
"""Rows of a table at most; more are in the CSV files."""

MATRIX_CLASSES = 30
"""Classes up to which a confusion matrix is shown whole; of more, the most frequent confusions are listed."""

_CELLS_LISTED = 60
_UNIT = re.compile(r"(?<=\d) (?=(?:s|min|h)\b|%)")


def page_bytes(page: Page) -> bytes:
    """Return the report of one run as a page."""
    contents, errors, small = page.contents, page.gallery, page.pictures
    classes, frames = contents.info.dataset.classes, contents.frames
    sheet, sheet_columns = small.sheet() if small else (b"", 1)
    place = {image: where for where, image in enumerate(small.index)} if small else {}
    script = package_text("report.js")
    functions: dict[str, object] = {
        "cells": _cells,
        "figure": lambda name: "data:image/svg+xml;base64," + base64.b64encode(page.figures[name]).decode(),
        "inline": lambda name: _inline(page.figures[name], name),
        "code": lambda text: _element("code", text),
        "em": lambda text: _element("em", text),
        "strong": lambda text: _element("strong", text),
        "count": count,
        "duration": duration,
        "percent": percent,
        "plural": plural,
        "points": points,
        "class_name": contents.info.dataset.class_name,
        "sure": _sure,
    }
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            {
                **functions,
                **page.names,
                "headline": _UNIT.sub("\N{NO-BREAK SPACE}", contents.headline),
                "css": Markup(package_text("report.css")),  # noqa: S704 - of this package
                "script": Markup(script),  # noqa: S704 - of this package
                "script_hash": _source_hash(script),
                "sheet": base64.b64encode(sheet).decode(),
                "sheet_columns": sheet_columns,
                "sheet_rows": -(-max(len(place), 1) // sheet_columns),
                "picture_size": small.pixels.shape[1:] if small else contents.info.dataset.image_shape,
                "is_dark": small.is_dark if small else False,
                "place": place,
                "pairs": _pairs(frames["pairs"], contents.evaluated),
                "hard_shown": HARD_SHOWN,
                "fits_shown": FITS_SHOWN,
                "matrices": [
                    _matrix(section.row.label, frames, classes, errors) for section in page.sections
                ],
                "class_bars": _class_bars(frames["classes"], classes),
                "rows_shown": ROWS_SHOWN,
                "data": {
                    "place": {str(image): where for image, where in place.items()},
                    "columns": sheet_columns,
                    "label_errors": sorted(errors.label_errors) if errors else [],
                    "mistakes": _behind(errors, place) if errors else [],
                    "names": {str(label): contents.info.dataset.class_name(label) for label in classes},
                },
            }
        )
        .encode()
    )


@cache
def environment() -> jinja2.Environment:
    """Return the environment of this package's templates of HTML, each of which it compiles once."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mnistbench.report"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def package_text(name: str) -> str:
    """Return a file that the pages hold."""
    return (resources.files("mnistbench.report") / "templates" / name).read_text(encoding="utf-8")


def _element(name: str, text: str) -> Markup:
    return Markup(f"<{name}>{escape(_finalize(text))}</{name}>")  # noqa: S704 - escaped


def _inline(svg: bytes, name: str) -> Markup:
    """Return a figure as a part of the page, where its titles show; its ids are made its own."""
    drawn = svg.decode()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    drawn = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", drawn)
    return Markup(drawn)  # noqa: S704 - of `figures`, which escapes


def _source_hash(text: str) -> str:
    """Name a script in a content security policy: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _finalize(value: object) -> object:
    """Show control characters of whatever is printed as escapes; line breaks stay, they only break lines."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return "\n".join(visible(line.replace("\t", "    ")) for line in value.split("\n"))
    return value


def _cells(table: Table) -> list[list[dict[str, str]]]:
    """Turn a table into rows of cells: what each shows, and by what it is sorted ("" comes last)."""
    return [
        [{"text": column.cell(row), "key": _key(column.sort_value(row))} for column in table.columns]
        for row in table.rows(ROWS_SHOWN)
    ]


def _key(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    # The last digits of a statistic differ between processors.
    return f"{float(value):.10g}" if isinstance(value, int | float) else str(value)


def _matrix(
    label: str, frames: Mapping[str, pd.DataFrame], classes: Sequence[int], errors: Gallery | None
) -> dict[str, Any] | None:
    """Describe the confusion matrix of one configuration; None where its predictions are not at hand."""
    by_class = _of(frames["classes"], [label])
    if not by_class:
        return None
    wrong = {
        (pair["true_label"], pair["predicted_label"]): (int(pair["count"]), float(pair["share"]))
        for pair in _of(frames["confused_pairs"], [label])
    }
    most = max((share for _, share in wrong.values()), default=1.0)
    return {
        "model": errors.labels.index(label) if errors and label in errors.labels else None,
        "is_whole": len(classes) <= MATRIX_CLASSES,
        "classes": classes,
        "right": {
            each["label"]: round(each["recall"] * each["support"]) for each in by_class if each["support"]
        },
        "wrong": {
            cell: {"count": number, "share": share, "strength": round(math.sqrt(share / most), 3)}
            for cell, (number, share) in wrong.items()
        },
        "listed": list(wrong)[:_CELLS_LISTED],
    }


def _pairs(frame: pd.DataFrame, images: int) -> Table:
    """Tabulate the paired tests."""
    columns = (
        Column("row_a", "model", text, right=False),
        Column("row_b", "against", text, right=False),
        Column("difference", "difference, %", lambda v: percent(v, images)),
        Column("difference_low", "95 %: from", lambda v: percent(v, images)),
        Column("difference_high", "to", lambda v: percent(v, images)),
        Column("adjusted_p_value", "p, corrected", three_digits),
        verdict_column(),
    )
    return Table("pairs", "Differences in accuracy, every pair of models", frame, columns)


def _class_bars(by_class: pd.DataFrame, classes: Sequence[int]) -> dict[str, Any] | None:
    """Describe the share of each class that each configuration gets wrong, for bars; None without any."""
    labels = list(dict.fromkeys(by_class["row"]))[:8]
    if not labels or len(classes) > MATRIX_CLASSES:
        return None
    known = _of(by_class, labels)
    missed = {(c["row"], c["label"]): 1 - float(c["recall"]) for c in known if c["support"]}
    return {
        "labels": labels,
        "classes": classes,
        "missed": missed,
        "most": max(missed.values(), default=0.0) or 1.0,
        "missing": MISSING,
    }


def _of(frame: pd.DataFrame, labels: Sequence[str]) -> list[dict[Any, Any]]:
    """Return the rows of a frame that are about some configurations."""
    return frame[frame["row"].isin(labels)].to_dict("records")


def _behind(errors: Gallery, place: Mapping[int, int]) -> list[dict[str, list[list[float | int | None]]]]:
    """List the images behind each cell of each configuration's matrix: image, confidence, fits."""
    return [
        {
            f"{true}/{predicted}": [
                [m.image, None if m.confidence is None else round(m.confidence, 4), m.fits]
                for m in sorted(mistakes, key=lambda m: m.image not in place)[:MISTAKES_A_CELL]
            ]
            for (true, predicted), mistakes in by_cell(errors.mistakes[label]).items()
        }
        for label in errors.labels
    ]


def _sure(confidence: float | None) -> str:
    """Write a confidence: "98 %", never rounded up to certainty."""
    if confidence is None:
        return ""
    return f"{math.floor(1000 * confidence) / 10:g} %" if confidence > 0.99 else f"{100 * confidence:.0f} %"
