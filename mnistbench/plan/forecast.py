"""Foretells what trials will take, from trials that have ended: a pure function of their records.

A trial of the same model, parameters and threads, on images of the same shape, tells the cost at its own
training size, and at others by the law a + b n^k. A trial on other images of that shape, or on another
machine (whose seconds are converted by the calibration units of both), tells less. Of all that is known, the
forecast is the one with the narrowest interval.

The times of trials that other programs disturbed tell nothing where undisturbed ones are known. Elsewhere
their CPU seconds, shared among the threads, are the least time, and their wall time is the most.
"""

import contextlib
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.datasets import DatasetInfo
from mnistbench.datasets.holdout import holdout_count
from mnistbench.datasets.synthetic import BLOCK
from mnistbench.errors import MnistbenchError
from mnistbench.runs.folder import RunFolder, find_runs
from mnistbench.runs.records import Expected, Forecast, Measurement, Record, Trial
from mnistbench.runs.sessions import own_seconds, unit_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HERE, OTHER_DATA, ELSEWHERE, PILOT = "this machine", "other images", "another machine", "a pilot"
"""What a forecast rests on, the most similar first."""

CONTENDED = ", while it was busy (the least time)"
"""Added to that where other programs disturbed all those trials."""

OF_A_RUN = frozenset({"calibration"})
"""Measurements that are no part of any trial."""

_Span = tuple[float, float]
_RUNS = 20  # the newest of a folder; older ones were likely made by other versions
_NORMAL = 1.96
# Standard deviations of the logarithm of a time: what other images or another machine add, as the reference
# runs and `benchmarks/studies/forecast.py` show.
_OTHER_DATA, _ELSEWHERE = 0.35, 0.25


@dataclass(frozen=True)
class Setting:
    """What the trials of a run have in common as far as their cost is concerned.

    Attributes:
        models: SHA-256 of each model's sources, by its name.
        measurements: Measurements of each trial beside quality, `fit` and `predict`.
        machine: `Environment.machine` of where they run.
        unit_seconds: The calibration unit of that machine; None where it was not measured.
    """

    dataset: DatasetInfo
    models: Mapping[str, str]
    measurements: frozenset[str]
    machine: tuple[object, ...]
    unit_seconds: float | None = None


@dataclass(frozen=True)
class Known:
    """A trial that has succeeded, and its setting; `is_pilot` if it ran for a forecast alone."""

    record: Record
    measurement: Measurement
    setting: Setting
    is_pilot: bool = False

    @property
    def recipe(self) -> tuple[object, ...]:
        """The model's sources and its parameters."""
        return _recipe(self.record.trial, self.setting)

    @property
    def threads(self) -> int:
        """The threads that it had."""
        return self.measurement.threads_used or self.record.trial.threads

    def fit_seconds(self, threads: int) -> _Span:
        """Return the least and the most that `fit` takes where nothing else runs."""
        return self._quiet(self.measurement.fit_seconds, self.measurement.fit_cpu_seconds / threads)

    def predict_seconds(self, threads: int) -> _Span:
        """Return the same for `predict`."""
        return self._quiet(self.measurement.predict_seconds, self.measurement.predict_cpu_seconds / threads)

    def rest_seconds(self, measurements: frozenset[str]) -> _Span:
        """Return the least and the most that the rest takes there, with these measurements at most."""
        measured, work = self.measurement, self.measurement.work_seconds
        is_more = not self.setting.measurements <= measurements
        most = (own_seconds(self.record) if is_more else self.record.trial_seconds) - work
        # It keeps one core busy, and had a share of it as `fit` and `predict` had at least.
        return self._quiet(most, most * measured.work_cpu_seconds / work if work > 0 else most)

    def _quiet(self, wall_seconds: float, cpu_seconds: float) -> _Span:
        tells = self.record.was_contended and self.measurement.device == "cpu"
        return min(cpu_seconds, wall_seconds) if tells else wall_seconds, wall_seconds


def known(folder: RunFolder, models: Iterable[str]) -> list[Known]:
    """Return the successful trials of a run with one of these models, which are named by their SHA-256.

    Raises:
        MnistbenchError: The run is damaged.
    """
    info = folder.info()
    by_name = {model.name: model.sha256 for model in info.models}
    if set(models).isdisjoint(by_name.values()):
        return []
    sessions = folder.sessions()
    return [
        Known(
            record,
            record.measurement,
            Setting(
                info.dataset,
                by_name,
                frozenset(info.measurements) - OF_A_RUN,
                record.environment.machine,
                unit_seconds(sessions, record.trial.id),
            ),
        )
        for record in folder.records()
        if record.measurement is not None
    ]


def read_known(results: Path, models: Iterable[str]) -> list[Known]:
    """Return what the newest runs in a results folder, and in folders within it, tell of these models.

    Damaged runs are left out.
    """
    wanted = frozenset(models)
    found = []
    for place in (results, *(path for path in sorted(results.glob("[!.]*")) if path.is_dir())):
        for folder in find_runs(place)[-_RUNS:]:
            with contextlib.suppress(MnistbenchError):
                found += known(folder, wanted)
    return found


def tells_elsewhere(ended: Iterable[Known], setting: Setting) -> bool:
    """Return whether trials of other machines have calibration units."""
    return any(
        each.setting.unit_seconds is not None and each.setting.machine != setting.machine for each in ended
    )


class Forecaster:
    """Foretells trials of one setting."""

    def __init__(self, setting: Setting, ended: Iterable[Known]) -> None:
        """Foretell from trials that have ended."""
        self.setting, self.ended = setting, tuple(ended)
        self._by_recipe: dict[tuple[object, ...], list[Known]] = {}
        self._found: dict[tuple[object, ...], Forecast | None] = {}
        for each in self.ended:
            self._by_recipe.setdefault(each.recipe, []).append(each)

    def forecast(self, trial: Trial) -> Forecast | None:
        """Return what a trial will take; None if nothing tells."""
        recipe = _recipe(trial, self.setting)
        key = (*recipe, trial.dataset_sha256, trial.split, trial.train_size, trial.threads)
        if key not in self._found:
            candidates = list(self._candidates(trial, self._by_recipe.get(recipe, [])))
            self._found[key] = min(candidates, key=_width) if candidates else None
        return self._found[key]

    def forecasts(self, trials: Iterable[Trial]) -> dict[str, Forecast]:
        """Return the forecast of each trial that has one, by its id."""
        found = {trial.id: self.forecast(trial) for trial in trials}
        return {trial_id: forecast for trial_id, forecast in found.items() if forecast is not None}

    def _candidates(self, trial: Trial, ended: Sequence[Known]) -> Iterator[Forecast]:
        """Foretell from each group of trials that are equally similar to this one."""
        dataset = self.setting.dataset
        held_out = holdout_count(dataset, trial.holdout) if trial.split == "validation" else 0
        evaluated = held_out or dataset.test_count
        groups: dict[tuple[bool, bool], list[Known]] = {}
        for each in ended:
            of = each.setting.dataset
            shape = of.image_shape, len(of.classes), each.measurement.test_images
            if shape != (dataset.image_shape, len(dataset.classes), evaluated):
                continue
            is_here = each.setting.machine == self.setting.machine
            if not is_here and None in (each.setting.unit_seconds, self.setting.unit_seconds):
                continue
            if trial.threads not in (each.threads, each.record.trial.threads):
                continue
            similarity = is_here, each.record.trial.dataset_sha256 == trial.dataset_sha256
            groups.setdefault(similarity, []).append(each)
        for similarity, group in groups.items():
            undisturbed = [each for each in group if not each.record.was_contended]
            yield self._from(undisturbed or group, trial, *similarity)

    def _from(self, group: Sequence[Known], trial: Trial, is_here: bool, is_same_data: bool) -> Forecast:
        images = training_images(trial, self.setting.dataset)
        doubt = math.hypot(0 if is_same_data else _OTHER_DATA, 0 if is_here else _ELSEWHERE)

        def seconds(values: Sequence[Known], span: Callable[[Known], _Span], growth: _Growth) -> Expected:
            told = [(each.measurement.train_images, span(each), self._speed(each)) for each in values]
            least, most = (
                _widened(growth.at(images, [(n, ends[end] * speed) for n, ends, speed in told]), doubt)
                for end in (0, 1)
            )
            return Expected(least.value, least.low, most.high)

        alike = [each for each in group if each.setting.measurements == self.setting.measurements] or group
        fit = seconds(group, lambda each: each.fit_seconds(trial.threads), _WORK)
        predict = seconds(group, lambda each: each.predict_seconds(trial.threads), _WORK)
        work = _sum(fit, predict)
        rest = seconds(alike, lambda each: each.rest_seconds(self.setting.measurements), _REST)
        source = PILOT if all(each.is_pilot for each in group) else HERE if is_here else ELSEWHERE
        source += "" if is_same_data else f", {OTHER_DATA}"
        return Forecast(
            work,
            _sum(work, rest),
            _memory(group, trial, images),
            source + (CONTENDED if group[0].record.was_contended else ""),
        )

    def _speed(self, each: Known) -> float:
        """Return what a second of that trial is here, by the calibration units."""
        there, here = each.setting.unit_seconds, self.setting.unit_seconds
        if each.setting.machine == self.setting.machine or there is None or here is None:
            return 1.0
        return here / there


def _memory(group: Sequence[Known], trial: Trial, images: int) -> Expected:
    """Foretell the memory; beyond its data set, a model that can holds only a block of the images in it."""
    by_blocks = any(each.measurement.learns_by_blocks for each in group)

    def held(trial: Trial, images: int) -> int:
        return min(images, BLOCK) if trial.synthetic and by_blocks else images

    points = [
        (held(each.record.trial, each.measurement.train_images), each.measurement.peak_rss_bytes)
        for each in group
    ]
    return _MEMORY.at(held(trial, images), points)


def total_seconds(trials: Iterable[Trial], forecasts: Mapping[str, Forecast], side_by_side: int) -> Expected:
    """Return the time of all these trials: the forecasts of one model err alike, others independently."""
    by_model: dict[str, list[Expected]] = {}
    for trial in trials:
        by_model.setdefault(trial.model, []).append(forecasts[trial.id].trial_seconds)
    sums = [
        [math.fsum(each) for each in zip(*map(_values, found), strict=True)] for found in by_model.values()
    ]
    value = math.fsum(total for total, _, _ in sums)
    down = math.hypot(*(total - low for total, low, _ in sums))
    up = math.hypot(*(high - total for total, _, high in sums))
    return Expected(*(seconds / side_by_side for seconds in (value, value - down, value + up)))


def training_images(trial: Trial, dataset: DatasetInfo) -> int:
    """Return how many images a trial is trained on."""
    held_out = holdout_count(dataset, trial.holdout) if trial.split == "validation" else 0
    return trial.train_size or dataset.train_count - held_out


@dataclass(frozen=True)
class _Growth:
    """How a cost grows with the images: as a + b n^k, of which a few sizes tell little.

    So what is usual counts, too: the forecast is the median of the law's values over its posterior, on a
    grid of k and of the share of the fixed part at the smallest size. A. Gelman et al., "Bayesian data
    analysis" (2013), chapter 3.
    """

    exponent: tuple[float, float]  # the mean and the standard deviation of k's prior
    fixed: float  # the prior of the share is proportional to this power of it: 0 is none, 4 a large one
    # Standard deviations of the logarithm: of a repeat in another run, and of what the law misses for each
    # doubling of the images.
    spread: float
    drift: float

    def at(self, images: int, points: Sequence[tuple[int, float]]) -> Expected:
        """Return the value to expect at a size from values at others, or at this one."""
        by_size: dict[int, list[float]] = {}
        for n, value in points:
            if value > 0:
                by_size.setdefault(n, []).append(math.log(value))
        by_size = by_size or {images: [math.log(1e-3)]}
        if images in by_size:
            return self._of_repeats(by_size[images])
        return self._of_law(math.log(images), by_size)

    def _of_repeats(self, logs: Sequence[float]) -> Expected:
        spread = max(self.spread, statistics.stdev(logs) if len(logs) > 2 else 0.0)
        value = math.exp(statistics.fmean(logs))
        return _widened(Expected(value, value, value), spread * math.sqrt(1 + 1 / len(logs)))

    def _of_law(self, place: float, by_size: Mapping[int, Sequence[float]]) -> Expected:
        import numpy as np

        places = np.log(list(by_size))
        means = np.array([statistics.fmean(logs) for logs in by_size.values()])
        misses = self.drift * np.abs(places - place) / math.log(2)
        counts = np.array([len(logs) for logs in by_size.values()])
        # What the law misses on the way from the nearest size is the same for all of them.
        weights = 1 / (self.spread**2 / counts + (misses - misses.min()) ** 2)
        k, share = np.linspace(0, 3, 61)[:, np.newaxis], np.array(_FIXED_SHARES)

        def shape(place: float) -> "NDArray[np.float64]":
            return np.asarray(np.log(share + (1 - share) * np.exp(k * (place - places.min()))))

        levels = means - np.stack([shape(each) for each in places], axis=-1)
        level = levels @ weights / weights.sum()
        squares = (levels - level[..., np.newaxis]) ** 2 @ weights
        squares += ((k - self.exponent[0]) / self.exponent[1]) ** 2
        posterior = (np.exp((squares.min() - squares) / 2) * share**self.fixed).ravel()
        values = (level + shape(place)).ravel()
        order = values.argsort()
        reached = posterior[order].cumsum() / posterior.sum()
        low, value, high = np.exp(values[order][reached.searchsorted((0.025, 0.5, 0.975))]).tolist()
        return _widened(
            Expected(value, low, high), math.hypot(self.spread, weights.sum() ** -0.5, misses.min())
        )


_FIXED_SHARES = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1)

# Fits and predictions of 13 families at 500 to 60,000 images of MNIST, as `benchmarks/studies/forecast.py`
# runs them, have such laws. The rest of a trial hardly grows; of its memory, the libraries take the most.
_WORK = _Growth(exponent=(1.0, 0.3), fixed=0, spread=0.1, drift=0.15)
_REST = _Growth(exponent=(1.0, 0.1), fixed=20, spread=0.1, drift=0.1)
_MEMORY = _Growth(exponent=(1.0, 0.1), fixed=4, spread=0.03, drift=0.02)


def _recipe(trial: Trial, setting: Setting) -> tuple[object, ...]:
    parameters = tuple(sorted((name, repr(value)) for name, value in trial.parameters.items()))
    return setting.models.get(trial.model), parameters


def _widened(expected: Expected, spread: float) -> Expected:
    """Return the value with an interval that an independent disturbance of its logarithm widens."""
    value, low, high = _values(expected)
    down, up = (math.hypot(math.log(end / value), _NORMAL * spread) for end in (low, high))
    return Expected(value, value * math.exp(-down), value * math.exp(up))


def _sum(one: Expected, other: Expected) -> Expected:
    """Return the sum of two values that err alike."""
    return Expected(*map(sum, zip(_values(one), _values(other), strict=True)))


def _values(expected: Expected) -> tuple[float, float, float]:
    return expected.value, expected.low, expected.high


def _width(forecast: Forecast) -> float:
    return forecast.work_seconds.high / forecast.work_seconds.low
