"""Prints a gigabyte."""

import os

import numpy as np


class Pouring:
    def fit(self, X, y):
        os.write(1, b"the first line\n")
        for _ in range(2**14):
            rest = b"x" * (2**16 - 1) + b"\n"
            while rest:
                rest = rest[os.write(1, rest) :]
        os.write(1, b"the last line\n")
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Pouring()
