"""Nearest class mean: learns, and ends well."""

import os
from pathlib import Path

import numpy as np


class Steady:
    def __init__(self, part):
        self.part = part

    def fit(self, X, y):
        with Path(os.environ["FAULTS_STARTS"]).open("a") as file:
            file.write(f"steady {self.part}\n")
        self.means = np.stack([X[y == label].mean(axis=0) for label in range(y.max() + 1)])
        return self

    def predict(self, X):
        return ((X[:, None] - self.means) ** 2).sum(axis=2).argmin(axis=1)


def build(part=0):
    return Steady(part)
