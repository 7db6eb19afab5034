"""Imports a library that one worker alone has."""

import numpy as np
import onetree  # noqa: F401


class Located:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Located()
