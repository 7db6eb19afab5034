"""Leaves a process in a session of its own, which outlives it, and ends well."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


class Breeding:
    def fit(self, X, y):
        with Path(os.environ["FAULTS_STARTS"]).open("a") as file:
            file.write("breeding\n")
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)"], start_new_session=True)
        time.sleep(0.2)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Breeding()
