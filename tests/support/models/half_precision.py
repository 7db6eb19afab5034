"""Gives its probabilities in half precision, whose sums are rough."""

import numpy as np


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        scores = np.random.default_rng(0).random((len(X), 10)).astype(np.float16)
        scores[:, 0] = 2
        return scores / scores.sum(axis=1, keepdims=True)


def build():
    return Stub()
