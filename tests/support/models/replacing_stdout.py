"""Puts something that is no file in the place of stdout."""

import sys

import numpy as np


class Stub:
    def fit(self, X, y):
        sys.stdout = sys.stderr = Stub()
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
