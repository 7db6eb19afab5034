"""Always says the first class, and is sure of it."""

import numpy as np


class Constant:
    def fit(self, X, y):
        self.class_count = int(y.max()) + 1
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=np.int32)

    def predict_proba(self, X):
        return np.tile(np.eye(self.class_count)[0], (len(X), 1))


def build(seed, strength=1.0):
    return Constant()
