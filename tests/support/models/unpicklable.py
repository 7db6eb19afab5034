"""Holds on to something that cannot be saved."""

import numpy as np


class Stub:
    def fit(self, X, y):
        self.transform = lambda image: image
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
