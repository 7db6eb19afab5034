"""Draws its answers without a seed."""

import numpy as np


class Drawing:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.random.default_rng().integers(0, 3, len(X))


def build():
    return Drawing()
