"""How a cost or an error grows with the number of training images: the law a + b n^k.

One law serves both. A time or a memory has a fixed part `a` and a growing one, k above 0. An error falls
with k below 0 towards a floor `a`; that power law with a floor describes learning curves of many kinds of
models: J. Hestness et al., "Deep learning scaling is predictable, empirically", arXiv:1712.00409 (2017);
T. Viering and M. Loog, "The shape of learning curves: a review", IEEE TPAMI 45 (2023).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# scipy.stats would do as well, but takes over a second to import.
from scipy.special import stdtr

from mnistbench.errors import DataError
from mnistbench.stats.accuracy import CONFIDENCE, Interval, t_quantile

COST_EXPONENTS = (0.0, 4.0)
"""Where k of a cost is looked for: from a constant cost up to one steeper than the cube of exact solvers."""

ERROR_EXPONENTS = (-2.0, 0.0)
"""Where k of an error is looked for; Hestness et al. report -0.07 to -0.35, theory -0.5 and -1."""

LEAST_SIZES = 3
"""The law has three parameters."""

DEPARTURE_FACTOR = 1.2
"""How far the values of a size must be from the law of the other sizes to count as a departure."""

_PARAMETERS = 3
_ROUNDING = 1e-15
"""Residual sum of squares that values without any noise have."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Law:
    """The law a + b n^k fitted to values at several sizes; see `fit_law`."""

    a: float  # in the unit of the values, at least 0, as is b
    b: float
    k: float
    exponent: Interval | None  # 95 %, of k, within those looked at; None for as many values as parameters
    worst: float  # by what factor the law misses the geometric mean of a size at most; 1 is exact
    _data: "_Data" = field(repr=False)
    _exponents: tuple[float, float] = field(repr=False)
    _bound: float = field(repr=False)

    def at(self, size: float) -> float:
        """Return the law's value at a size, also beyond those it was fitted to."""
        return self.a + self.b * exp(self.k * log(size))

    def interval_at(self, size: float) -> Interval | None:
        """Return the 95 % interval of the law's value at a size; None where `exponent` is.

        Single values scatter around the law. Beyond the fitted sizes, it is right if the law goes on there.
        """
        if self._region is None:
            return None
        k, ratio, low, high = self._region
        shape = np.logaddexp(ratio, k * log(size))
        return Interval(float(np.exp((low + shape).min())), float(np.exp((high + shape).max())))

    @property
    def verdict(self) -> Literal["holds", "departs", "cannot tell"]:
        """Whether the law holds at all sizes.

        It "departs" where there are departures, and "holds" where there are none, it takes more values than
        they do to find some, and `worst` is below `DEPARTURE_FACTOR`.
        """
        if self.departures:
            return "departs"
        is_close = self.worst < DEPARTURE_FACTOR
        return "holds" if is_close and self._data.count > _PARAMETERS + 1 else "cannot tell"

    @cached_property
    def departures(self) -> tuple[int, ...]:
        """The sizes where the law does not hold, ascending: whose values that of the other sizes misses."""
        data, free = self._data, self._data.count - _PARAMETERS - 1
        if free < 1 or len(data.sizes) <= LEAST_SIZES:
            return ()
        least = data.best(self._exponents)[1]
        tested = []
        for place, size in enumerate(data.sizes.tolist()):
            k, squares, ratio, level = data.without(place).best(self._exponents)
            shift = float(data.means[place] - level - np.logaddexp(ratio, k * data.places[place]))
            t = sqrt(max(least - squares, 0) / max(squares, _ROUNDING) * free)
            tested.append((2 * float(stdtr(free, -t)), abs(shift), size))
        departures = []
        for rank, (p_value, shift, size) in enumerate(sorted(tested)):
            if p_value * (len(tested) - rank) > 1 - CONFIDENCE:
                break
            if shift >= log(DEPARTURE_FACTOR):
                departures.append(size)
        return tuple(sorted(departures))

    @cached_property
    def _region(self) -> tuple[Values, Values, Values, Values] | None:
        return self._data.region(self.exponent, self._bound) if self.exponent else None


def fit_law(
    sizes: Sequence[int],
    values: Sequence[float],
    exponents: tuple[float, float] = COST_EXPONENTS,
    weights: Sequence[float] | None = None,
) -> Law:
    """Fit a + b n^k by least squares of logarithms, as disturbances multiply a time; a and b are at least 0.

    The intervals are profile likelihood intervals: they hold every k, and every value of the law at a size,
    that some fit has whose residual sum of squares is at most 1 + t^2 / (values - 3) times the least one. D.
    M. Bates and D. G. Watts, "Nonlinear regression analysis and its applications" (1988), chapter 6.

    A size is a departure if its mean is away from the law of the other sizes by `DEPARTURE_FACTOR` or more,
    and significantly so at 5 % after Holm's correction for the number of sizes. The test is that of the
    deletion residual: R. D. Cook and S. Weisberg, "Residuals and influence in regression" (1982), chapter 2.

    Args:
        sizes: Numbers of training images, one for each value.
        values: Seconds, bytes, or shares of errors.
        exponents: The least and the greatest k to look at.
        weights: What the values' logarithms weigh, inversely to their variances; such as error counts.

    Raises:
        DataError: There are fewer than three different sizes, or numbers that are not above 0.
    """
    data = _data(sizes, values, [1.0] * len(sizes) if weights is None else weights)
    k, least, ratio, level = data.best(exponents)
    misses = data.means - level - np.logaddexp(ratio, k * data.places)
    free = data.count - _PARAMETERS
    found, bound = None, 0.0
    if free > 0:
        bound = max(least, _ROUNDING) * (1 + t_quantile((1 + CONFIDENCE) / 2, free) ** 2 / free)
        found = Interval(*(data.end(k, limit, bound) for limit in exponents))
    return Law(
        a=exp(level + ratio),
        b=exp(level - k * data.centre),
        k=k,
        exponent=found,
        worst=float(np.exp(np.abs(misses).max())),
        _data=data,
        _exponents=exponents,
        _bound=bound,
    )


@dataclass(frozen=True, eq=False)
class _Data:
    """Logarithms of values, averaged by size, as the fit needs them; float64 (sizes,) each."""

    sizes: NDArray[np.int64]  # ascending
    places: Values  # the logarithms of the sizes less `centre`, their mean
    centre: float
    means: Values  # weighted means of the values' logarithms
    weights: Values  # their weights; all weights have the mean 1
    within: float  # the weighted squares of the values around these means, in all
    count: int  # how many values there are

    def residual(self, k: Values, ratio: Values) -> tuple[Values, Values]:
        """Return the residual sum of squares of each k and log(a / b), and the best log b of each."""
        shape = np.log(np.exp(ratio)[..., np.newaxis] + np.exp(k[..., np.newaxis] * self.places))
        level = (self.means - shape) @ self.weights / self.weights.sum()
        squares = (self.means - level[..., np.newaxis] - shape) ** 2
        return squares @ self.weights + self.within, level

    def profile(self, k: Values) -> tuple[Values, Values]:
        """Return the least residual sum of squares of each k, (m,), and its log(a / b)."""
        low, high = self.ratios(k)
        for _ in range(_ZOOMS):
            ratio = np.linspace(low, high, _STEPS, axis=-1)
            best = self.residual(k[:, np.newaxis], ratio)[0].argmin(axis=-1)
            low, high = _around(ratio, best)
        middle = (low + high) / 2
        squares, none = self.residual(k, middle)[0], self.residual(k, np.full_like(k, -inf))[0]
        is_simpler = none <= squares * (1 + _TIE)
        return np.where(is_simpler, none, squares), np.where(is_simpler, -inf, middle)

    def ratios(self, k: Values) -> tuple[Values, Values]:
        """Return the log(a / b) at which the part that is smaller everywhere is below a millionth."""
        reach = np.abs(k) * np.abs(self.places).max() + log(1e6)
        return -reach, reach

    def best(self, exponents: tuple[float, float]) -> tuple[float, float, float, float]:
        """Return the k of the best fit, its residual sum of squares, its log(a / b) and its log b."""
        low, high = (np.array([limit]) for limit in exponents)
        for _ in range(_ZOOMS):
            k = np.linspace(low, high, _STEPS, axis=-1)
            low, high = _around(k, self.profile(k[0])[0][np.newaxis].argmin(axis=-1))
        # The limits are themselves candidates: a cost that does not grow has exactly k = 0.
        k = np.array([*exponents, float(low[0] + high[0]) / 2])
        squares, ratio = self.profile(k)
        at = int((squares <= squares.min() * (1 + _TIE)).argmax())
        level = float(self.residual(k[at], ratio[at])[1])
        return float(k[at]), float(squares[at]), float(ratio[at]), level

    def end(self, k: float, limit: float, bound: float) -> float:
        """Return the last exponent from k to a limit that some fit within the bound has."""
        return float(
            _last(lambda ks: self.profile(ks[0])[0][np.newaxis] <= bound, np.array([k]), np.array([limit]))[0]
        )

    def region(self, exponent: Interval, bound: float) -> tuple[Values, Values, Values, Values]:
        """Return all fits within the bound, finely enough: their k, log(a / b), least and greatest log b."""
        k = np.linspace(exponent.low, exponent.high, 2 * _STEPS + 1)
        middle = np.clip(self.profile(k)[1], *self.ratios(k))
        low, high = (
            _last(lambda ratio: self.residual(k[:, np.newaxis], ratio)[0] <= bound, middle, limit)
            for limit in self.ratios(k)
        )
        ratio = np.linspace(low, high, _STEPS, axis=-1).ravel()
        k = np.repeat(k, _STEPS)
        squares, level = self.residual(k, ratio)
        half = np.sqrt(np.maximum(bound - squares, 0) / self.weights.sum())
        back = k * self.centre  # to sizes that are not divided by their geometric mean
        return k, ratio + back, level - half - back, level + half - back

    def without(self, place: int) -> "_Data":
        """Return the data without the mean of one size, as if it were free."""
        kept = np.arange(len(self.sizes)) != place
        return _Data(
            self.sizes[kept],
            self.places[kept],
            self.centre,
            self.means[kept],
            self.weights[kept],
            self.within,
            self.count - 1,
        )


# Each zoom divides what is searched by 6; eight of them leave a millionth.
_STEPS = 13
_ZOOMS = 8
# Of two fits whose squares differ by no more than this share, the simpler one is taken: the last bits of
# logarithms differ between processors, and a report must not.
_TIE = 1e-6


def _data(sizes: Sequence[int], values: Sequence[float], weights: Sequence[float]) -> _Data:
    given = [np.asarray(each, np.float64) for each in (sizes, values, weights)]
    if any(len(each) != len(sizes) or not np.isfinite(each).all() or (each <= 0).any() for each in given):
        raise DataError("A law needs as many values as sizes, and weights if any, all finite and above 0.")
    distinct, places = np.unique(np.asarray(sizes, np.int64), return_inverse=True)
    if len(distinct) < LEAST_SIZES:
        raise DataError(f"{len(distinct)} sizes do not show how values grow: expected {LEAST_SIZES} or more.")
    logs, weight = np.log(given[1]), given[2] / given[2].mean()
    sums = np.asarray(np.bincount(places, weight), np.float64)
    means = np.bincount(places, weight * logs) / sums
    within = float(weight @ (logs - means[places]) ** 2)
    centre = float(np.log(distinct).mean())
    return _Data(distinct, np.log(distinct) - centre, centre, means, sums, within, len(logs))


def _around(steps: Values, best: NDArray[np.intp]) -> tuple[Values, Values]:
    """Return the neighbours of the best step in each row of (m, steps)."""
    rows = np.arange(len(steps))
    return steps[rows, np.maximum(best - 1, 0)], steps[rows, np.minimum(best + 1, steps.shape[1] - 1)]


def _last(holds: Callable[[Values], NDArray[np.bool_]], first: Values, limit: Values) -> Values:
    """Return how far something that holds at `first` holds on the way to `limit`, (m,) each."""
    for _ in range(_ZOOMS):
        steps = np.linspace(first, limit, _STEPS, axis=-1)
        held = holds(steps)
        held[:, 0] = True
        last = _STEPS - 1 - held[:, ::-1].argmax(axis=-1)
        rows = np.arange(len(steps))
        first, limit = steps[rows, last], steps[rows, np.minimum(last + 1, _STEPS - 1)]
    return first
