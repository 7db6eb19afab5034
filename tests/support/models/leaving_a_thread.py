"""Leaves a thread running that keeps an interpreter from its end."""

import threading
import time

import numpy as np


class Stub:
    def fit(self, X, y):
        threading.Thread(target=time.sleep, args=(600,)).start()
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
