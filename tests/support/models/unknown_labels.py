"""Predicts a label that there is not."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), 99)


def build():
    return Stub()
