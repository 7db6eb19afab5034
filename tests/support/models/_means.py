"""Beside the models that import it."""

import numpy as np


class Means:
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def nearest(self, X):
        return np.array([np.square(self.means_ - row).sum(axis=1).argmin() for row in X], dtype=int)
