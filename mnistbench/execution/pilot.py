"""A pilot: a few trials on small subsets, which tell what the trials of a plan will take."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mnistbench.execution.local import Observer
from mnistbench.execution.runner import Plan, create_run, run
from mnistbench.plan.forecast import Forecaster, Known, known, training_images
from mnistbench.runs.records import Trial

MOST_SHARE = 0.05
"""Of the time foretold: what a pilot may take."""

_PARTS = (32, 16, 8, 4)
"""A pilot's subsets: these parts of the most images that its model will be trained on."""


@dataclass(frozen=True)
class Pilot:
    """What a pilot told, and what it cost."""

    ended: tuple[Known, ...]
    seconds: float


def run_pilot(plan: Plan, forecaster: Forecaster, observer: Observer, *, is_asked_for: bool) -> Pilot:
    """Run trials on growing subsets with each model of a plan of whose trials there is no forecast.

    It ends where the next trial would make it take more than `MOST_SHARE` of the time foretold. Of a model of
    which nothing is known, no time can be foretold before its first trial: that one runs if the forecast
    `is_asked_for`, or if the plan has so many trials, all on larger subsets, that it cannot be too dear.
    """
    ended: list[Known] = []
    spent = 0.0
    with tempfile.TemporaryDirectory(prefix="mnistbench-pilot-") as place:
        for trial, count in _steps(plan, forecaster):
            told = Forecaster(forecaster.setting, [*forecaster.ended, *ended])
            known_cost = told.forecast(trial)
            total = sum(each.trial_seconds.value for each in told.forecasts(plan.trials).values())
            if known_cost is None:
                is_affordable = is_asked_for or count * MOST_SHARE >= 1
            else:
                is_affordable = spent + known_cost.trial_seconds.value <= MOST_SHARE * min(
                    total, plan.budget_seconds or total
                )
            if is_affordable:
                found, seconds = _run(replace(plan, trials=[trial]), Path(place), observer)
                ended += found
                spent += seconds
    return Pilot(tuple(ended), spent)


def _run(plan: Plan, place: Path, observer: Observer) -> tuple[list[Known], float]:
    """Run the trial of a plan as any other; return what it tells, and its seconds."""
    folder = create_run(place, plan, ())
    if not run(folder, {model.name: model for model in plan.models}, plan.dataset, observer):
        raise KeyboardInterrupt
    ended = known(folder, [model.sha256 for model in plan.models])
    seconds = sum(record.trial_seconds for record in folder.records())
    return [replace(each, is_pilot=True) for each in ended], seconds


def _steps(plan: Plan, forecaster: Forecaster) -> Iterator[tuple[Trial, int]]:
    """Return the trials of a pilot, the smallest subsets first, and how many of the plan each is for."""
    unknown = [trial for trial in plan.trials if forecaster.forecast(trial) is None]
    largest: dict[tuple[str, str, int], Trial] = {}
    counts = Counter(map(_recipe, unknown))
    for trial in unknown:
        before = largest.setdefault(_recipe(trial), trial)
        if training_images(trial, plan.dataset) > training_images(before, plan.dataset):
            largest[_recipe(trial)] = trial
    for part in _PARTS:
        for recipe, trial in largest.items():
            images = (training_images(trial, plan.dataset) - trial.synthetic) // part
            if images >= 2 * len(plan.dataset.classes):
                yield replace(trial, train_size=images, synthetic=0, repeat=0), counts[recipe]


def _recipe(trial: Trial) -> tuple[str, str, int]:
    return trial.model, repr(sorted(trial.parameters.items())), trial.threads
