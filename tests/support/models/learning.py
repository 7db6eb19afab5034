"""Gets better with every epoch: it learns one class more, behind a step that scales the pixels."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Means(ClassifierMixin, BaseEstimator):
    on_progress = None

    def fit(self, X, y):
        assert abs(X.mean()) < 1e-3, "the step before it has not scaled these"
        self.classes_ = np.unique(y)
        self.seen_ = len(X)
        self.means_ = np.full((len(self.classes_), X.shape[1]), np.inf)
        for done, label in enumerate(self.classes_, start=1):
            self.means_[label] = X[y == label].mean(axis=0)
            if self.on_progress is not None:
                self.on_progress(done, len(self.classes_), "class")
        return self

    def predict(self, X):
        return self.nearest(X, len(self.means_))

    def staged_predict(self, X):
        return (self.nearest(X, done) for done in range(1, len(self.means_) + 1))

    def nearest(self, X, known):
        return np.array([np.square(self.means_[:known] - row).sum(axis=1).argmin() for row in X])


def build():
    return make_pipeline(StandardScaler(), Means())
