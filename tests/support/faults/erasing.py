"""Deletes the results under the run, in fit, and ends well."""

import os
import shutil
from pathlib import Path

import numpy as np


class Erasing:
    def fit(self, X, y):
        results = Path(os.environ["FAULTS_RESULTS"])
        assert results.name == "results"
        shutil.rmtree(results)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Erasing()
