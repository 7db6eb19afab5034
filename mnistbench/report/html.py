"""Makes `report.html`: the whole report in one file that opens from disk and needs no network.

What it says comes from the same tables and figures as the Markdown report. Everything printed is escaped;
the page's own policy forbids it to load anything or to run any script but its own.
"""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.contents import Contents
from mnistbench.analysis.tables import Column, Table, text
from mnistbench.report.gallery import (
    FITS_SHOWN,
    HARD_SHOWN,
    MISTAKES_A_CELL,
    Gallery,
    Mistake,
    Pictures,
    by_cell,
)
from mnistbench.report.vega import library
from mnistbench.stats.times import pareto_front
from mnistbench.text import MISSING, count, duration, percent, three_digits, visible

ROWS_SHOWN = 500
"""Rows of a table at most; more are in the CSV files."""

MATRIX_CLASSES = 30
"""Classes up to which a confusion matrix is shown whole; of more, the most frequent confusions are listed."""

_POINTS_SHOWN = 3_000
_CELLS_LISTED = 60
_SORT_BY = {
    "shown_accuracy": "accuracy",
    "shown_fit": "fit_seconds",
    "shown_predict": "predict_seconds",
    "shown_training": "training_sd",
    "shown_fit_seconds": "fit_seconds_max",
    "shown_predict_seconds": "predict_seconds_max",
}
_UNIT = re.compile(r"(?<=\d) (?=(?:s|min|h)\b|%)")
_TIMES = ("fit_seconds", "predict_seconds")


def page(
    said: Contents,
    values: Mapping[str, Any],
    drawn: Mapping[str, bytes],
    shown: Gallery | None,
    small: Pictures | None,
) -> bytes:
    """Make the page.

    Args:
        said: What it says.
        values: The same, as the Markdown report shows it.
        drawn: Its figures, SVG by name.
        shown: The errors of the models that it describes one by one.
        small: Pictures of the images that these get wrong.
    """
    rows = [section.row for section in values["sections"]]
    info, frames, truth = said.info, said.frames, said.truth
    sheet, sheet_columns = small.sheet() if small else (b"", 1)
    place = {image: where for where, image in enumerate(small.index)} if small else {}
    css, script = _text("report.css"), _text("report.js")
    charts = {"points": _points(values["results"]), "timings": _timed(rows, frames["trials"])}
    vega = library() if charts["points"] else ""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mnistbench.report"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        cells=_cells,
        figure=lambda name: "data:image/svg+xml;base64," + base64.b64encode(drawn[name]).decode(),
        duration=duration,
        percent=percent,
        count=count,
        sure=_sure,
    )
    matrices = [_matrix(section, frames, info.dataset.classes, shown) for section in values["sections"]]
    written = environment.get_template(
        "report.html.jinja"
    ).render(
        {
            **values,
            "headline": _UNIT.sub("\N{NO-BREAK SPACE}", values["headline"]),
            "css": Markup(css),  # noqa: S704 - of this package
            "script": Markup(script),  # noqa: S704 - of this package
            "vega": Markup(vega),  # noqa: S704 - of vl-convert
            "script_hashes": [_source_hash(text) for text in (vega, script)],
            "sheet": base64.b64encode(sheet).decode(),
            "sheet_columns": sheet_columns,
            "sheet_rows": -(-max(len(place), 1) // sheet_columns),
            "picture_size": small.pixels.shape[1:] if small else info.dataset.image_shape,
            "is_dark": small.is_dark if small else False,
            "place": place,
            "has_pictures": small is not None,
            "gallery": shown,
            "truth": truth,
            "pairs": _pairs(frames["pairs"], values["evaluated"]),
            "hard_shown": HARD_SHOWN,
            "fits_shown": FITS_SHOWN,
            "matrices": matrices,
            "class_bars": _class_bars(frames["classes"], info.dataset.classes),
            "rows_shown": ROWS_SHOWN,
            "data": {
                **charts,
                "images": values["evaluated"],
                "place": {str(image): where for image, where in place.items()},
                "columns": sheet_columns,
                "label_errors": sorted(shown.label_errors) if shown else [],
                "mistakes": _behind(shown, place) if shown else [],
                "kept_a_cell": MISTAKES_A_CELL,
            },
        }
    )
    return written.encode()


def _text(name: str) -> str:
    return (resources.files("mnistbench.report") / "templates" / name).read_text(encoding="utf-8")


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
    frame = table.frame.head(ROWS_SHOWN)
    shown = []
    for _, row in frame.iterrows():
        cells = []
        for column in table.columns:
            key = row.get(_SORT_BY.get(column.name, column.name))
            cells.append({"text": column.show(row[column.name]), "key": _key(key)})
        shown.append(cells)
    return shown


def _key(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    # The last digits of a statistic differ between processors.
    return f"{float(value):.10g}" if isinstance(value, int | float) else str(value)


def _points(results: Table) -> list[dict[str, Any]]:
    """List the points of the chart of accuracy against time, with where they stand on which front."""
    frame = results.frame.head(_POINTS_SHOWN)
    frame = frame[frame["accuracy"].notna() & frame["fit_seconds"].notna()]
    points = frame.to_dict("records")
    fronts = {
        cost: set(pareto_front({p["row"]: (p["accuracy"], p[cost]) for p in points})) for cost in _TIMES
    }
    images = max((int(p["test_images"]) for p in points), default=0)
    return [
        {
            "label": visible(p["row"]),
            "accuracy": p["accuracy"],
            "low": p["sampling_low"],
            "high": p["sampling_high"],
            **{cost: p[cost] for cost in _TIMES},
            **{f"front_{cost}": p["row"] in fronts[cost] for cost in _TIMES},
            "shown_accuracy": f"{percent(p['accuracy'], images)} %",
            "shown_errors": f"{count(p['error_count'])} of {images:,}",
            **{f"shown_{cost}": duration(p[cost]) for cost in _TIMES},
        }
        for p in points
    ]


def _timed(rows: Sequence[Configuration], trials: pd.DataFrame) -> list[dict[str, Any]]:
    """List every timing of the rows that the report describes one by one."""
    if "fit_seconds" not in trials:
        return []
    labels = [row.label for row in rows]
    timed = trials[trials["row"].isin(labels) & trials["fit_seconds"].notna()].head(_POINTS_SHOWN)
    return [
        {
            "label": visible(trial["row"]),
            **{cost: trial[cost] for cost in _TIMES},
            **{f"shown_{cost}": duration(trial[cost]) for cost in _TIMES},
            "seed": int(trial["seed"]),
            "repeat": int(trial["repeat"]),
        }
        for trial in sorted(timed.to_dict("records"), key=lambda t: labels.index(t["row"]))
    ]


def _matrix(
    section: Any, frames: Mapping[str, pd.DataFrame], classes: Sequence[int], shown: Gallery | None
) -> dict[str, Any] | None:
    """Describe the confusion matrix of one configuration; None where its predictions are not at hand."""
    label = section.row.label
    by_class = _of(frames["classes"], [label])
    if not by_class:
        return None
    wrong = {
        (pair["true_label"], pair["predicted_label"]): (int(pair["count"]), float(pair["share"]))
        for pair in _of(frames["confused_pairs"], [label])
    }
    most = max((share for _, share in wrong.values()), default=1.0)
    return {
        "model": shown.labels.index(label) if shown and label in shown.labels else None,
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


def _behind(shown: Gallery, place: Mapping[int, int]) -> list[dict[str, list[list[float | int | None]]]]:
    """List the images behind each cell of each configuration's matrix: image, confidence, fits."""
    return [
        {
            f"{true}/{predicted}": [
                [m.image, None if m.confidence is None else round(m.confidence, 4), m.fits]
                for m in _seen_first(mistakes, place)[:MISTAKES_A_CELL]
            ]
            for (true, predicted), mistakes in by_cell(shown.mistakes[label]).items()
        }
        for label in shown.labels
    ]


def _seen_first(mistakes: Sequence[Mistake], place: Mapping[int, int]) -> list[Mistake]:
    return sorted(mistakes, key=lambda m: m.image not in place)


def _sure(confidence: float | None) -> str:
    """Write a confidence: "98 %", never rounded up to certainty."""
    if confidence is None:
        return ""
    return f"{math.floor(1000 * confidence) / 10:g} %" if confidence > 0.99 else f"{100 * confidence:.0f} %"
