"""Asks for more memory than any machine has."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return np.ones(2**58)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
