"""Leaves its folder and removes it, empties its environment, and spoils every global state."""

import os
import random
import shutil
import signal
import sys
from pathlib import Path

import numpy as np


class Stub:
    def fit(self, X, y):
        folder = Path.cwd()
        os.chdir("/")
        shutil.rmtree(folder)
        os.environ.clear()
        random.seed(0)
        np.random.seed(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.path.clear()
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
