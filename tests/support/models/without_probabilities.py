"""Has a method predict_proba, which says that there are no probabilities."""

import warnings

from _means import Means

warnings.simplefilter("error")


class Stub(Means):
    def __init__(self, error):
        self.error = error

    def predict(self, X):
        return self.nearest(X).reshape(-1, 1).astype("float32")

    def predict_proba(self, X):
        raise {"NotImplementedError": NotImplementedError, "AttributeError": AttributeError}[self.error](
            "not for\nthis loss"
        )


def build(error="NotImplementedError"):
    return Stub(error)
