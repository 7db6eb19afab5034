"""Never returns from fit."""

import os
import time
from pathlib import Path


class Hanging:
    def fit(self, X, y):
        with Path(os.environ["FAULTS_STARTS"]).open("a") as file:
            file.write("hanging\n")
        time.sleep(300)

    def predict(self, X): ...


def build():
    return Hanging()
