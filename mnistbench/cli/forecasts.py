"""What `mnistbench plan` prints: the trials with the time and memory to expect, and the total."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mnistbench.cli.output import print_table, say
from mnistbench.text import count, duration, megabytes, plural

if TYPE_CHECKING:
    from mnistbench.execution.runner import Plan
    from mnistbench.runs.records import Expected, Forecast, Trial


def print_forecasts(plan: "Plan") -> None:
    """Print a row for the trials that differ in their seed or repeat alone, where each forecast is from."""
    from mnistbench.plan.forecast import training_images

    rows = _rows(plan)
    forecasts = [plan.forecasts.get(trials[0].id) for trials in rows.values()]
    table = [
        (label, count(training_images(trials[0], plan.dataset)), count(len(trials)), *_cells(forecast))
        for ((label, _), trials), forecast in zip(rows.items(), forecasts, strict=True)
    ]
    say(f"{plan.dataset.title}, suite {plan.suite}: {plural(len(plan.trials), 'trial')}, each with")
    heads = ("model", "images", "trials", "fit + predict", "whole trial", "(95 %)", "MB")
    print_table(heads, table, right=heads[1:])
    say("")
    for line in _notes(plan):
        say(line)


def _rows(plan: "Plan") -> "dict[tuple[str, int | None], list[Trial]]":
    """Return the trials that have the same forecast, by what is run and the training size."""
    from mnistbench.cli.live import trial_labels

    def anywhere(trial: "Trial") -> "Trial":
        return replace(trial, train_size=None, synthetic=0, seed=0, repeat=0)

    labels = trial_labels(list({each.id: each for each in map(anywhere, plan.trials)}.values()))
    rows: dict[tuple[str, int | None], list[Trial]] = {}
    for trial in plan.trials:
        rows.setdefault((labels[anywhere(trial).id], trial.train_size), []).append(trial)
    return rows


def _cells(forecast: "Forecast | None") -> tuple[str, str, str, str]:
    if forecast is None:
        return "unknown", "unknown", "", ""
    trial = forecast.trial_seconds
    return (
        duration(forecast.work_seconds.value),
        duration(trial.value),
        _range(trial),
        megabytes(forecast.peak_rss_bytes.value),
    )


def _range(expected: "Expected") -> str:
    return f"{_rough(expected.low)}\N{EN DASH}{_rough(expected.high)}"


def _rough(seconds: float) -> str:
    """Write a time without a precision that its forecast has not."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    step = 10 if seconds < 600 else 60
    return duration(step * round(seconds / step))


def _notes(plan: "Plan") -> list[str]:
    """Return the total and where each forecast is from."""
    from mnistbench.plan.forecast import total_seconds

    forecasts = plan.forecasts
    known = [trial for trial in plan.trials if trial.id in forecasts]
    notes = []
    if known:
        total = total_seconds(known, forecasts, plan.limits.jobs)
        most = max(forecasts[trial.id].peak_rss_bytes.value for trial in known)
        notes.append(f"Total: about {duration(total.value)} ({_range(total)}), up to {megabytes(most)} MB.")
    if len(known) < len(plan.trials):
        notes.append(f"Without {plural(len(plan.trials) - len(known), 'trial')} of which nothing is known.")
    sources: dict[str, list[str]] = {}
    for trial in known:
        sources.setdefault(forecasts[trial.id].source, []).append(trial.model)
    notes += [f"From {source}: {_listed(models)}." for source, models in sources.items()]
    return notes


def _listed(models: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(models))
