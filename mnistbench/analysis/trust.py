"""How far a timing can be trusted, as a grade from A to D.

Each sign below gives a grade; the worst of them is the timing's, with the reason in words.

| sign | A | B | C | D |
| --- | --- | --- | --- | --- |
| spread: interquartile range by median | up to 3 % | up to 10 % | up to 25 % | more |
| number of timings | 3 or more | 1 or 2 | | |
| CPU used by other processes, share of the machine | up to 5 % | up to 15 % | up to 35 % | more |
| CPU time stolen by other machines of the host | up to 1 % | up to 3 % | up to 10 % | more |
| throttled, for heat or by the container's quota | never | | ever | |
| other trials side by side | none | | some | |
| drift of the machine during the run (calibration) | up to 5 % | up to 15 % | up to 30 % | more |
| threads that it had, as other programs kept cores busy | all | | | fewer |
| cores kept busy by threads asked for | from 50 % | less | | |
| cores kept busy above the threads asked for | up to 10 % | up to 25 % | up to 50 % | more |
| cores kept busy, below one: it waited (not applied on a GPU) | from 0.9 | from 0.75 | from 0.5 | less |

What was not measured (the load, or the drift), or was over too soon to measure (the load), allows no A.
Shares and busy cores are medians over the timings, since the median time is what is shown. The bounds are
conventions of this suite: A moves a time by less than `times.FASTER_FACTOR`, the least change that is ever
called one; D may double it.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mnistbench.runs.records import (
    MOST_OTHERS_SHARE,
    MOST_STEAL_SHARE,
    MachineLoad,
    Measurement,
    Record,
    Session,
)
from mnistbench.runs.sessions import machine_drift
from mnistbench.stats.times import timing_summary
from mnistbench.text import plural

Letter = Literal["A", "B", "C", "D"]
Timing = Literal["fit_seconds", "predict_seconds"]

LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D")
SPREAD_BOUNDS = (0.03, 0.10, 0.25)
OTHERS_BOUNDS = (0.05, 0.15, MOST_OTHERS_SHARE)
STEAL_BOUNDS = (0.01, 0.03, MOST_STEAL_SHARE)
DRIFT_BOUNDS = (0.05, 0.15, 0.30)
EXCESS_BOUNDS = (0.10, 0.25, 0.50)
WAITING_BOUNDS = (0.10, 0.25, 0.50)
FEWEST_TIMINGS = 3
LEAST_SHARE_OF_THREADS = 0.5
SHORTEST_LOAD_SECONDS = 0.5
"""The system counts the CPU time of all processes in ticks of 0.01 s: in less time its shares say little."""

_Sign = tuple[Letter, str]


@dataclass(frozen=True)
class Grade:
    """How far a timing can be trusted, from "A" to "D", and why it is no better; an A has no reasons."""

    letter: Letter
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Write it as the report shows it: "C: 31 % of the CPU was used by others"."""
        return f"{self.letter}: {'; '.join(self.reasons)}" if self.reasons else self.letter


def grade(
    records: Sequence[Record], sessions: Sequence[Session], timing: Timing = "fit_seconds"
) -> Grade | None:
    """Grade the timings of one configuration over seeds and repetitions; None where nothing was timed."""
    timed = [record for record in records if record.measurement is not None]
    measured = [record.measurement for record in timed if record.measurement is not None]
    if not measured:
        return None
    asked = timed[0].trial.threads
    had = [m.threads_used or asked for m in measured]
    signs = [
        *_spread(timed, timing),
        *_load(measured, min(had), asked),
        *_concurrency(timed),
        *_drift(sessions, timed),
        *_cores(measured, statistics.median_low(had), timing),
    ]
    worst: Letter = max((letter for letter, _ in signs), default="A")
    return Grade(worst, tuple(reason for letter, reason in signs if letter == worst and worst != "A"))


def relative_spread(records: Sequence[Record], timing: Timing) -> float:
    """Return the interquartile range of some timings by their median.

    Where seeds were repeated, each time is taken relative to the median of its seed, since another seed may
    rightly take longer; else the seeds' own differences are in it.
    """
    by_seed: dict[int, list[float]] = {}
    for record in records:
        if record.measurement is not None:
            by_seed.setdefault(record.trial.seed, []).append(getattr(record.measurement, timing))
    repeated = {seed: times for seed, times in by_seed.items() if len(times) > 1}
    relative = [time / statistics.median(times) for times in repeated.values() for time in times]
    summary = timing_summary(relative or [time for times in by_seed.values() for time in times])
    return summary.interquartile_range / summary.median


def _spread(records: Sequence[Record], timing: Timing) -> Iterable[_Sign]:
    seeds = {record.trial.seed for record in records}
    if min(getattr(record.measurement, timing) for record in records) <= 0:
        yield "D", "the clock did not resolve it"
        return
    if len(records) > 1:
        spread = relative_spread(records, timing)
        over = f"over {len(seeds)} seeds" if len(seeds) == len(records) else f"over {len(records)} timings"
        yield _letter(spread, SPREAD_BOUNDS), f"the middle half of its times spans {_percent(spread)} {over}"
    if len(records) < FEWEST_TIMINGS:
        yield "B", "timed only once" if len(records) == 1 else "timed only twice"


def _load(measured: Sequence[Measurement], had: int, asked: int) -> Iterable[_Sign]:
    if had < asked:
        yield (
            "D",
            f"other programs kept cores busy, so it ran with {plural(had, 'thread')} instead of {asked}",
        )
    loads = [m.load for m in measured if m.load is not None]
    if not loads:
        yield "B", "the load of the machine was not measured"
        return
    throttled = sum(load.throttled_count for load in loads)
    if throttled:
        yield "C", f"the processor was throttled {'once' if throttled == 1 else f'{throttled} times'}"
    watched = [load for load in loads if load.wall_seconds >= SHORTEST_LOAD_SECONDS]
    if not watched:
        yield "B", "too short to tell what else the machine did"
        return

    def share(of: Callable[[MachineLoad], float]) -> float:
        return statistics.median(map(of, watched))

    others, steal = share(lambda load: load.others_share), share(lambda load: load.steal_share)
    letter, cores = _letter(others, OTHERS_BOUNDS), watched[0].logical_cores
    reason = f"{_percent(others)} of the CPU was used by others"
    if letter == "D" and had == asked:
        reason += f": the trial had about {(1 - others) * cores:.1f} of {cores} cores"
    yield letter, reason
    yield _letter(steal, STEAL_BOUNDS), f"{_percent(steal)} of the CPU was stolen by the host"


def _concurrency(records: Sequence[Record]) -> Iterable[_Sign]:
    beside = max(record.beside for record in records)
    if beside:
        yield "C", f"{beside} other {'trial' if beside == 1 else 'trials'} ran beside it"


def _drift(sessions: Sequence[Session], records: Sequence[Record]) -> Iterable[_Sign]:
    drifted = machine_drift(sessions, {record.trial.id for record in records})
    if drifted is None:
        yield "B", "the drift of the machine was not measured"
    else:
        yield _letter(drifted, DRIFT_BOUNDS), f"the machine's speed drifted by {_percent(drifted)}"


def _cores(measured: Sequence[Measurement], threads: int, timing: Timing) -> Iterable[_Sign]:
    busy = statistics.median(_busy_cores(m, timing) for m in measured)
    asked = f"{threads} {'thread' if threads == 1 else 'threads'} asked for"
    yield _letter(busy / threads - 1, EXCESS_BOUNDS), f"it kept {busy:.2f} cores busy, with {asked}"
    if any(m.device != "cpu" for m in measured):  # the GPU's work is not the CPU's
        return
    waiting = _letter(1 - busy, WAITING_BOUNDS)
    if waiting != "A":
        yield waiting, f"it waited: it kept only {busy:.2f} cores busy"
    elif busy < LEAST_SHARE_OF_THREADS * threads:
        yield "B", f"it kept only {busy:.2f} cores busy, with {asked}"


def _busy_cores(measured: Measurement, timing: Timing) -> float:
    if timing == "fit_seconds":
        return measured.effective_cores
    return measured.predict_cpu_seconds / measured.predict_seconds if measured.predict_seconds > 0 else 0.0


def _letter(value: float, bounds: tuple[float, float, float]) -> Letter:
    return LETTERS[sum(value > bound for bound in bounds)]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"
