"""A run as it is compared with another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistbench.analysis.configurations import configurations
from mnistbench.machine import Environment
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import Record


class ComparedRun:
    """A run folder, read."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.info = folder.info()
        self.records = folder.records()
        self.sessions = folder.sessions()
        self.rows = configurations(self.info, self.records)

    @property
    def environment(self) -> Environment:
        """What its first trial ran on; without any, what it was planned on."""
        return self.records[0].environment if self.records else self.info.environment

    def labels(self, records: Sequence[Record]) -> NDArray[np.int64] | None:
        """Return the predicted labels of some trials, int64 (trials, images)."""
        try:
            return np.array([self.folder.predictions(record.trial.id).labels for record in records])
        except (OSError, ValueError):
            return None
