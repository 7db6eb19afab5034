"""Gives one probability an image."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.ones((len(X), 1))


def build():
    return Stub()
