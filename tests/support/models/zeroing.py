"""Sets to zero whatever it is given, and wants to be given images."""

import numpy as np
from _means import Means


class Zeroing(Means):
    on_progress = None

    def fit(self, X, y):
        super().fit(X, y)
        X[:] = 0
        y[:] = 0
        for done in (1, 2):
            if self.on_progress is not None:
                self.on_progress(done, 2, "step")
        return self

    def predict(self, X):
        assert X.any(axis=1).all(), "there is nothing on these images"
        found = self.nearest(X)
        X[:] = 0
        return found

    def staged_predict(self, X):
        for _ in range(2):
            yield self.predict(X.copy())
        X[:] = 0

    def predict_proba(self, X):
        return np.eye(len(self.classes_))[self.predict(X)]


def build():
    return Zeroing()
