"""Logistic regression whose matrix products stay on one core."""

from typing import Any, Self

from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits


class SerialLogisticRegression(LogisticRegression):  # type: ignore[misc]
    """A `sklearn.linear_model.LogisticRegression` that is fitted by one thread.

    A step of L-BFGS multiplies the images by a matrix with one column a class: too little work to share.
    Between these products the other threads of BLAS spin, which slows down the one that works where two
    cores of a virtual machine share a physical one, or where another program needs the core.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train as `LogisticRegression.fit` does, with the same arguments and errors."""
        with threadpool_limits(1, user_api="blas"):
            super().fit(X, y, sample_weight)
        return self
