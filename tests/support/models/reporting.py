"""Tells how far it has come, with numpy's own integers."""

import time

import numpy as np


class Stub:
    on_progress = None
    engine_ = "stub engine 1.0"
    device_ = "an abacus"

    def fit(self, X, y):
        for step in range(1, 9):
            time.sleep(0.15)
            self.on_progress(np.int64(step), np.int64(8), "round")
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
