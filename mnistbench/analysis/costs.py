"""Tables of what a model costs, time and memory, and of the trust grades of the times."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mnistbench.analysis.configurations import Configuration, setting
from mnistbench.analysis.tables import Column, Table, TimeTrust, median, text
from mnistbench.analysis.trust import grade
from mnistbench.runs.records import Inference, Session
from mnistbench.runs.sessions import unit_seconds
from mnistbench.text import count, megabytes, three_digits


def time_trust(rows: Sequence[Configuration], sessions: Sequence[Session]) -> dict[str, TimeTrust]:
    """Grade the times of every configuration that has some, by its label."""
    graded = {}
    for row in rows:
        fit = grade(row.records, sessions, "fit_seconds")
        predict = grade(row.records, sessions, "predict_seconds")
        if fit is not None and predict is not None:
            graded[row.label] = (fit, predict)
    return graded


def doubts(trust: Mapping[str, TimeTrust]) -> Table | None:
    """Tabulate the times whose trust grade is not A, with the reasons; None where all have it.

    A row is about "fit", "predict", or "fit, predict" where both have the same reasons.
    """
    frame = pd.DataFrame(
        [
            {"row": label, "time": name, "trust": each.letter, "reasons": "; ".join(each.reasons)}
            for label, (fit, predict) in trust.items()
            for name, each in (
                [("fit, predict", fit)] if fit == predict else [("fit", fit), ("predict", predict)]
            )
            if each.reasons
        ]
    )
    if frame.empty:
        return None
    columns = (
        Column("row", "model", text, right=False),
        Column("time", "time", text, right=False),
        Column("trust", "trust", text, right=False),
        Column("reasons", "reasons", text, right=False),
    )
    return Table("doubts", "Times without grade A", frame, columns)


def timings(rows: Sequence[Configuration], sessions: Sequence[Session]) -> Table:
    """Tabulate times and memory in detail, one row a configuration with a successful trial."""
    described = [_timing(row, sessions) for row in rows if row.measurements]
    frame = pd.DataFrame(described, columns=_TIMING_COLUMNS)
    frame["speed_up"] = _speed_ups([row for row in rows if row.measurements])
    columns = (
        Column("row", "model", text, right=False),
        *((Column("fit_units", "fit, units", three_digits),) if frame["fit_units"].notna().any() else ()),
        Column("fit_cpu_seconds", "fit CPU, s", three_digits),
        Column("threads", "threads", count),
        *((Column("speed_up", "speed-up", three_digits),) if frame["speed_up"].notna().any() else ()),
        Column("effective_cores", "busy cores", three_digits),
        Column("first_predict_seconds", "first image, s", three_digits),
        Column("import_seconds", "import, s", three_digits),
        Column("load_seconds", "load, s", three_digits),
        Column("trial_seconds", "whole trial, s", three_digits),
        Column("baseline_rss_bytes", "RAM before fit, MB", megabytes),
        *((Column("beside", "trials beside", count),) if (frame["beside"] > 0).any() else ()),
    )
    return Table("timings", "Further times and memory", frame, columns)


def spreads(timings: pd.DataFrame) -> Table | None:
    """Tabulate how repeated timings, from the frame of `timings`, spread; None where nothing was repeated."""
    if not (timings["timings"] > 1).any():
        return None
    columns = (
        Column("row", "model", text, right=False),
        Column("timings", "timings", count),
        *(
            column
            for name, word in zip(_TIMED, ("fit", "predict"), strict=True)
            for column in (
                Column(name, f"{word}: median, s", three_digits),
                Column(f"{name}_min", "range, s", _range, beside=(f"{name}_max",), sort_by=f"{name}_max"),
                Column(f"{name}_iqr", "IQR, s", three_digits),
            )
        ),
    )
    return Table("spreads", "Spread of the timings", timings, columns)


def _range(least: float, most: float) -> str:
    return f"{three_digits(least)}\N{NON-BREAKING HYPHEN}{three_digits(most)}"


_TIMED = ("fit_seconds", "predict_seconds")
_TIMING_MEDIANS = (
    "fit_cpu_seconds", "effective_cores", "first_predict_seconds", "import_seconds", "load_seconds",
    "build_seconds", "baseline_rss_bytes", "peak_rss_bytes",
)  # fmt: skip
_TIMING_COLUMNS = (
    "row", "timings",
    *(f"{name}{part}" for name in _TIMED for part in ("_min", "", "_max", "_iqr")),
    *_TIMING_MEDIANS, "threads", "beside", "trial_seconds", "fit_units", "speed_up", "memory_source",
)  # fmt: skip


def _timing(row: Configuration, sessions: Sequence[Session]) -> dict[str, Any]:
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
        "fit_units": _fit_units(row, sessions),
        "memory_source": ", ".join(dict.fromkeys(m.memory_source for m in row.measurements)),
    }


def _fit_units(row: Configuration, sessions: Sequence[Session]) -> float | None:
    """Return the median training time in calibration units; None unless every trial's unit is known."""
    times = []
    for record in row.records:
        if record.measurement is not None:
            unit = unit_seconds(sessions, record.trial.id)
            times.append(record.measurement.fit_seconds / unit if unit else None)
    return median(times) if None not in times else None


def _speed_ups(rows: Sequence[Configuration]) -> list[float | None]:
    """Compare each training time with that of the same configuration on the fewest threads."""
    fewest: dict[str, Configuration] = {}
    for row in sorted(rows, key=lambda row: row.trials[0].threads):
        fewest.setdefault(setting(row.trials[0], threads=1), row)
    speed_ups = []
    for row in rows:
        base = fewest[setting(row.trials[0], threads=1)]
        before, after = base.fit_seconds, row.fit_seconds
        speed_ups.append(before / after if base is not row and before and after else None)
    return speed_ups


def serving(rows: Sequence[Configuration]) -> Table | None:
    """Tabulate prediction as users meet it; None where it was not measured."""
    described = [_served(row) for row in rows if row.measurements]
    frame = pd.DataFrame([each for each in described if len(each) > 1])
    if frame.empty:
        return None
    sizes = sorted(int(name.removeprefix(_BATCH)) for name in map(str, frame) if name.startswith(_BATCH))
    offered = (
        *(Column(f"latency_p{p}_seconds", f"p{p}, ms", _milliseconds) for p in (50, 95, 99)),
        *(Column(f"{_BATCH}{size}", f"images/s by {size:,}", three_digits) for size in sizes),
        Column("cold_start_seconds", "cold start, s", three_digits),
        Column("serving_rss_bytes", "RAM to serve, MB", megabytes),
    )
    columns = (
        Column("row", "model", text, right=False),
        *(column for column in offered if column.name in frame),
    )
    return Table("serving", "One image at a time, in batches, and from a cold start", frame, columns)


_BATCH = "images_per_second_"


def _milliseconds(seconds: float) -> str:
    return three_digits(1000 * seconds)


def _served(row: Configuration) -> dict[str, Any]:
    inferences = [m.inference for m in row.measurements if m.inference is not None]
    starts = [m.cold_start for m in row.measurements if m.cold_start is not None]
    served: dict[str, Any] = {"row": row.label}
    latencies = [seconds for each in inferences for seconds in each.latency_seconds]
    if latencies:
        quantiles = np.quantile(latencies, [0.5, 0.95, 0.99]).tolist()
        served |= {f"latency_p{p}_seconds": q for p, q in zip((50, 95, 99), quantiles, strict=True)}
        served["latencies"] = len(latencies)
    for size, rates in _throughputs(inferences).items():
        served[f"{_BATCH}{size}"] = median(rates)
    if starts:
        served |= {
            "cold_start_seconds": median([each.total_seconds for each in starts]),
            "cold_import_seconds": median([each.import_seconds for each in starts]),
            "cold_load_seconds": median([each.load_seconds for each in starts]),
            "cold_predict_seconds": median([each.predict_seconds for each in starts]),
            "serving_rss_bytes": median([each.peak_rss_bytes for each in starts]),
        }
    return served


def _throughputs(inferences: Sequence[Inference]) -> dict[int, list[float]]:
    rates: dict[int, list[float]] = {}
    for each in inferences:
        for batch in each.batches:
            rates.setdefault(batch.batch_size, []).append(batch.images_per_second)
    return rates
