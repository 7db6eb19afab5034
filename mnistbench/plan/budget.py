"""Chooses what fits into a time: training sizes, which are the same for all models, and repeats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mnistbench.errors import UsageError
from mnistbench.plan.forecast import Forecaster, total_seconds, training_images
from mnistbench.runs.records import Expected, Trial
from mnistbench.text import duration

MOST_REPEATS = 5
"""How often a trial is repeated where there is time: five times have a median and a spread."""

_SHARE = 0.9  # of the time: a tenth is for the report, and for trials that take longer than foretold
_LEAST_OF_A_CLASS = 10
_ADVICE = "Allow more time, or choose fewer models with --only."

Size = int | None
Planned = Callable[[Sequence[Size], int], Sequence[Trial]]
"""Returns the trials of these training sizes, None for all images, with so many repeats."""


@dataclass(frozen=True)
class Choice:
    """What fits into a budget, and in words what was left out for it."""

    trials: tuple[Trial, ...]
    left_out: tuple[str, ...]


def choose(planned: Planned, forecaster: Forecaster, *, repeats: int, seconds: float, jobs: int) -> Choice:
    """Choose the sizes and repeats of a plan that fit into a time.

    The largest sizes are left out first; where even the smallest does not fit, it is halved until it does.
    Then there are as many repeats as fit, `MOST_REPEATS` or those asked for at most. Trials of which nothing
    is known count for nothing here.

    Raises:
        UsageError: Not even ten images of each class fit, or nothing is left of the time.
    """
    if seconds <= 0:
        raise UsageError(f"--budget is too short: it was over before the models' times were known. {_ADVICE}")
    dataset = forecaster.setting.dataset

    def cost(sizes: Sequence[Size], times: int) -> Expected:
        trials = planned(sizes, times)
        forecasts = forecaster.forecasts(trials)
        return total_seconds([trial for trial in trials if trial.id in forecasts], forecasts, jobs)

    by_images = {training_images(trial, dataset): trial.train_size for trial in planned((), 1)}
    wanted = sorted(by_images)
    chosen = list(wanted)
    sizes = [by_images[images] for images in chosen]
    while cost(sizes, 1).value > _SHARE * seconds:
        if len(chosen) == 1 and chosen[0] < 2 * _LEAST_OF_A_CLASS * len(dataset.classes):
            round_ = duration(cost(sizes, 1).value)
            raise UsageError(
                f"--budget is too short: one round of the models takes about {round_} "
                f"even on {chosen[0]:,} images, and {duration(seconds)} are left. {_ADVICE}"
            )
        chosen = chosen[:-1] if len(chosen) > 1 else [chosen[0] // 2]
        sizes = [by_images.get(images, images) for images in chosen]
    times = 1
    while times < max(MOST_REPEATS, repeats) and cost(sizes, times + 1).value <= _SHARE * seconds:
        times += 1
    left_out = [
        f"{images:,} training images, which would take {duration(cost([by_images[images]], 1).value)}"
        for images in wanted
        if images not in chosen
    ]
    if times < repeats:
        left_out.append(f"all but {times} of {repeats} repeats")
    return Choice(tuple(planned(sizes, times)), tuple(left_out))
