"""Nearest class mean: learns, and says which arguments it was given."""

import sys

import numpy as np


class Nearest:
    def __init__(self, arguments):
        sys.stdout.write(f"{arguments}\n")

    def fit(self, X, y):
        assert X.dtype == np.float32
        assert y.dtype == np.int64
        assert X.min() >= 0
        assert X.max() <= 1
        self.means = np.stack([X[y == label].mean(axis=0) for label in range(y.max() + 1)])
        return self

    def predict(self, X):
        return ((X[:, None] - self.means) ** 2).sum(axis=2).argmin(axis=1)


def build(seed, threads, image_shape, power=2.0):
    return Nearest(f"seed={seed} threads={threads} image_shape={image_shape} power={power!r}")
