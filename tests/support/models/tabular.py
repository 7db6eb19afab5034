"""Trains on a table: imports scikit-learn, then pandas."""

import gc
import sys

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

WAS_IMPORTED = "pandas" in sys.modules


class OfTables(LogisticRegression):
    def fit(self, X, y):
        import pandas as pd

        assert isinstance(X, pd.DataFrame)
        assert not WAS_IMPORTED, "importing scikit-learn took the time of importing pandas"
        assert gc.isenabled(), "the training is timed as in any other process"
        return super().fit(X, y)


def build():
    return make_pipeline(StandardScaler().set_output(transform="pandas"), OfTables(C=0.01))
