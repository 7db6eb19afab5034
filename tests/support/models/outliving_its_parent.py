"""Starts a process in a session of its own, then never returns."""

import os
import subprocess
import sys
import time

import numpy as np


class Stub:
    def fit(self, X, y):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        os.write(1, b"ready\n")
        while True:
            time.sleep(1)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
