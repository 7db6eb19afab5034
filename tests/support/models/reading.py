"""Reads its standard input to the end."""

import sys

import numpy as np


class Stub:
    def fit(self, X, y):
        assert sys.stdin.read() == ""
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
