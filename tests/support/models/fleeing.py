"""Leaves a process that flees: it goes on in a child of a new session, again and again."""

import os
import time

import numpy as np


class Stub:
    def fit(self, X, y):
        if os.fork() == 0:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                os.setsid()
                time.sleep(0.03)
                if os.fork():
                    os._exit(0)
            os._exit(0)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
