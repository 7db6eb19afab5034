"""Raises in fit, after a while."""

import os
import time
from pathlib import Path


class Raising:
    def fit(self, X, y):
        with Path(os.environ["FAULTS_STARTS"]).open("a") as file:
            file.write("raising\n")
        time.sleep(0.2)
        raise ValueError("no such luck")

    def predict(self, X): ...


def build():
    return Raising()
