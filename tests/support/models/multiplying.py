"""Forks without end, as far as a test may: ten times over, to 1,024 processes that stay for a while."""

import os
import time

import numpy as np


class Multiplying:
    def fit(self, X, y):
        for _ in range(10):
            os.fork()
        time.sleep(20)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Multiplying()
