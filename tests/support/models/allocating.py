"""Allocates without end."""

import time

import numpy as np


class Stub:
    def fit(self, X, y):
        held = []
        while True:
            held.append(np.ones(2**21))
            time.sleep(0.005)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
