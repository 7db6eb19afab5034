"""Its probabilities sum to 2."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.full((len(X), 10), 0.2)


def build():
    return Stub()
