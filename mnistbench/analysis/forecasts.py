"""How far the forecasts of a run were from what its trials took."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mnistbench.runs.records import Record, RunInfo

NEAR = 1.5
"""The factor within which a forecast is near the outcome."""


@dataclass(frozen=True)
class ForecastErrors:
    """The errors of a run's forecasts: the factor between forecast and outcome, less 1, as a share.

    Attributes:
        trial_errors: Of the time of each whole trial that was foretold and succeeded, ascending.
        memory_errors: Of its peak memory, ascending.
    """

    trial_errors: tuple[float, ...]
    memory_errors: tuple[float, ...]

    @property
    def median_time(self) -> float:
        """The median error of the times."""
        return statistics.median(self.trial_errors)

    @property
    def median_memory(self) -> float:
        """The median error of the memory."""
        return statistics.median(self.memory_errors)

    @property
    def near(self) -> int:
        """How many times were foretold within the factor `NEAR`."""
        return sum(error <= NEAR - 1 for error in self.trial_errors)


def forecast_errors(info: RunInfo, records: Sequence[Record]) -> ForecastErrors | None:
    """Return how far the forecasts of a run were off; None where no trial with a forecast succeeded."""
    pairs = [
        (info.forecasts[record.trial.id], record.trial_seconds, record.measurement.peak_rss_bytes)
        for record in records
        if record.measurement is not None and record.trial.id in info.forecasts
    ]
    if not pairs:
        return None
    return ForecastErrors(
        tuple(sorted(error(forecast.trial_seconds.value, took) for forecast, took, _ in pairs)),
        tuple(sorted(error(forecast.peak_rss_bytes.value, peak) for forecast, _, peak in pairs)),
    )


def error(foretold: float, outcome: float) -> float:
    """Return the factor between forecast and outcome, less 1."""
    return math.exp(abs(math.log(foretold / outcome))) - 1
