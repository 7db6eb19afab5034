"""Searches a grid in parallel, over a pipeline with a transformer of its own."""

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline


class Root(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X**0.5


def build():
    pipeline = make_pipeline(Root(), KNeighborsClassifier())
    return GridSearchCV(pipeline, {"kneighborsclassifier__n_neighbors": [1, 3]}, cv=2, n_jobs=2)
