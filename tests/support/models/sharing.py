"""Forks processes that share its memory and allocate none."""

import os
import time

import numpy as np


class Stub:
    def fit(self, X, y):
        held = np.ones(2**24)
        children = [os.fork() for _ in range(3)]
        if 0 in children:
            time.sleep(2.5)
            os._exit(0)
        for child in children:
            os.waitpid(child, 0)
        assert held.sum() == len(held)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
