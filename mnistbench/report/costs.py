"""Tables of what a model costs: time and memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mnistbench.report.configurations import Configuration
from mnistbench.report.formats import count, megabytes, three_digits
from mnistbench.report.tables import Column, Table, median, text


def timings(rows: Sequence[Configuration]) -> Table:
    """Tabulate times and memory in detail, one row a configuration with a successful trial.

    Columns of the frame: row; timings (successful trials, repeats included); fit_seconds_min, fit_seconds,
    fit_seconds_max, fit_seconds_iqr and the same for predict_seconds (median, range and interquartile range);
    fit_cpu_seconds, effective_cores, first_predict_seconds, import_seconds, load_seconds, build_seconds,
    baseline_rss_bytes, peak_rss_bytes (medians); threads; beside (the most trials that ran at the same time);
    trial_seconds (median, of the whole trial with its process); memory_source.
    """
    frame = pd.DataFrame([_timing(row) for row in rows if row.measurements], columns=_TIMING_COLUMNS)
    columns = (
        Column("row", "model", text, right=False),
        Column("fit_cpu_seconds", "fit CPU, s", three_digits),
        Column("threads", "threads", count),
        Column("effective_cores", "cores kept busy", three_digits),
        Column("first_predict_seconds", "first image, s", three_digits),
        Column("import_seconds", "import, s", three_digits),
        Column("load_seconds", "load, s", three_digits),
        Column("trial_seconds", "whole trial, s", three_digits),
        Column("baseline_rss_bytes", "RAM before fit, MB", megabytes),
        *((Column("beside", "trials beside", count),) if (frame["beside"] > 0).any() else ()),
    )
    return Table("timings", "Beside fit and predict", frame, columns)


def spreads(timings: pd.DataFrame) -> Table | None:
    """Tabulate how repeated timings spread; None where nothing was timed twice.

    Args:
        timings: The frame of `timings`.
    """
    if not (timings["timings"] > 1).any():
        return None
    frame = timings.copy()
    for name in _TIMED:
        frame[f"shown_{name}"] = [
            f"{three_digits(low)}\N{NON-BREAKING HYPHEN}{three_digits(high)}"
            for low, high in zip(frame[f"{name}_min"], frame[f"{name}_max"], strict=True)
        ]
    columns = (
        Column("row", "model", text, right=False),
        Column("timings", "timings", count),
        *(
            column
            for name, word in zip(_TIMED, ("fit", "predict"), strict=True)
            for column in (
                Column(name, f"{word}: median, s", three_digits),
                Column(f"shown_{name}", "range, s", text),
                Column(f"{name}_iqr", "IQR, s", three_digits),
            )
        ),
    )
    return Table("spreads", "How the timings spread", frame, columns)


_TIMED = ("fit_seconds", "predict_seconds")
_TIMING_MEDIANS = (
    "fit_cpu_seconds", "effective_cores", "first_predict_seconds", "import_seconds", "load_seconds",
    "build_seconds", "baseline_rss_bytes", "peak_rss_bytes",
)  # fmt: skip
_TIMING_COLUMNS = (
    "row", "timings",
    *(f"{name}{part}" for name in _TIMED for part in ("_min", "", "_max", "_iqr")),
    *_TIMING_MEDIANS, "threads", "beside", "trial_seconds", "memory_source",
)  # fmt: skip


def _timing(row: Configuration) -> dict[str, Any]:
    ok = [r for r in row.records if r.measurement is not None]
    timed: dict[str, float] = {}
    for name in _TIMED:
        values = [getattr(m, name) for m in row.measurements]
        least, lower, middle, upper, most = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
        timed |= {f"{name}_min": least, name: middle, f"{name}_max": most, f"{name}_iqr": upper - lower}
    return {
        "row": row.label,
        "timings": len(row.measurements),
        **timed,
        **{name: median([getattr(m, name) for m in row.measurements]) for name in _TIMING_MEDIANS},
        "threads": row.trials[0].threads,
        "beside": max(r.beside for r in ok),
        "trial_seconds": median([r.trial_seconds for r in ok]),
        "memory_source": ", ".join(dict.fromkeys(m.memory_source for m in row.measurements)),
    }
