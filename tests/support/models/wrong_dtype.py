"""Predicts labels as floats."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X))


def build():
    return Stub()
