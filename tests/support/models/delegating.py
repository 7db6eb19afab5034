"""Lets a process of its own do the work, and waits for it."""

import subprocess
import sys

import numpy as np

WORK = """
import time
end = time.monotonic() + 4
while time.monotonic() < end:
    pass
"""


class Stub:
    def fit(self, X, y):
        subprocess.run([sys.executable, "-c", WORK], check=True)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
