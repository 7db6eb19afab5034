"""Prints megabytes, on both streams."""

import os

import numpy as np


class Printing:
    def fit(self, X, y):
        os.write(1, b"the very first line\n")
        for _ in range(64):
            os.write(1, b"x" * 99_999 + b"\n")
        os.write(2, b"the very last line\n")
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Printing()
