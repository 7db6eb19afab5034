"""Predicts one label too few."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X) - 1, dtype=int)


def build():
    return Stub()
