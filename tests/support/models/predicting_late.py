"""Tells how far it has come, but can predict only once it is fitted."""

import numpy as np


class Stub:
    on_progress = None
    fitted = False

    def fit(self, X, y):
        if self.on_progress is not None:
            self.on_progress(1, 1, "epoch")
        self.fitted = True
        return self

    def predict(self, X):
        if not self.fitted:
            raise RuntimeError("not fitted yet")
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
