"""Predicts in processes of its own, with a function of this file and a class of one beside it."""

import multiprocessing

import numpy as np
from _means import Means
from joblib import Parallel, delayed


def nearest(model, X):
    return model.nearest(X)


class Pooled(Means):
    def __init__(self, how):
        self.how = how

    def predict(self, X):
        halves = [(self, half) for half in np.array_split(X, 2)]
        if self.how == "loky":
            return np.concatenate(Parallel(n_jobs=2)(delayed(nearest)(*half) for half in halves))
        with multiprocessing.get_context(self.how).Pool(2) as pool:
            return np.concatenate(pool.starmap(nearest, halves))


def build(how="loky"):
    return Pooled(how)
