"""A pilot: a few trials on small subsets, which tell what the trials of a plan will take."""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mnistbench.execution.local import Observer
from mnistbench.execution.runner import Plan, create_run, run
from mnistbench.plan.forecast import OF_A_RUN, Forecaster, Known, known, training_images
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


def run_pilot(
    plan: Plan, forecaster: Forecaster, observer: Observer, *, is_asked_for: bool, deadline: float = math.inf
) -> Pilot:
    """Run trials on growing subsets with each model of a plan of whose trials there is no forecast.

    A trial runs if it is foretold to end before all of them have taken `MOST_SHARE` of the time foretold, and
    is stopped then. Of a model of which nothing is known, no time can be foretold before its first trial:
    that one runs if the forecast `is_asked_for`, or if the plan has so many trials, all on larger subsets,
    that it cannot be too dear. A model whose trial fails gets no further one. All end by the deadline, in
    seconds of `time.monotonic`.
    """
    ended: list[Known] = []
    spent = 0.0
    hopeless = set()
    told, total = forecaster, _total_seconds(forecaster, plan)
    with tempfile.TemporaryDirectory(prefix="mnistbench-pilot-") as place:
        for trial, count in _steps(plan, forecaster):
            expected = told.forecast(trial)
            left = MOST_SHARE * min(total, plan.budget_seconds or total) - spent
            if expected is None:
                is_affordable = is_asked_for or count * MOST_SHARE >= 1
                left = math.inf
            else:
                is_affordable = expected.trial_seconds.value <= left
            if not is_affordable or _recipe(trial) in hopeless:
                continue
            began = time.monotonic()
            found = _run(replace(plan, trials=[trial]), Path(place), observer, min(deadline, began + left))
            spent += time.monotonic() - began
            if found:
                ended += found
                told = Forecaster(forecaster.setting, [*forecaster.ended, *ended])
                total = _total_seconds(told, plan)
            else:
                hopeless.add(_recipe(trial))
    return Pilot(tuple(ended), spent)


def _total_seconds(forecaster: Forecaster, plan: Plan) -> float:
    return sum(each.trial_seconds.value for each in forecaster.forecasts(plan.trials).values())


def _run(plan: Plan, place: Path, observer: Observer, deadline: float) -> list[Known]:
    """Run the trial of a plan as any other, but for what is measured of the run; return what it tells."""
    measurements = tuple(name for name in plan.measurements if name not in OF_A_RUN)
    folder = create_run(place, replace(plan, measurements=measurements), ())
    models = {model.name: model for model in plan.models}
    if not run(folder, models, plan.dataset, observer, deadline=deadline):
        raise KeyboardInterrupt
    ended = known(folder, [model.sha256 for model in plan.models])
    return [replace(each, is_pilot=True) for each in ended]


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
