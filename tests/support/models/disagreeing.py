"""Predicts the first class and holds the second for more probable."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.tile(np.eye(10)[1], (len(X), 1))


def build():
    return Stub()
