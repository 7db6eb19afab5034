"""Predicts what lies between two labels."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), 0.5)


def build():
    return Stub()
