"""Logistic regression whose matrix products stay on one core."""

from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from mnistbench.estimators.arrays import Rows
from mnistbench.estimators.blocks import Blocks


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

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Train on blocks, all of which every step of L-BFGS reads: the same loss, penalty and tolerance.

        The loss is the mean cross-entropy plus |W|^2 / (2 C n); the intercepts are not penalised.
        """
        count, classes = sum(blocks.sizes), blocks.class_count
        width = blocks[0][0].shape[1] + 1
        penalty = 1 / (self.C * count)
        if classes == 2:  # scikit-learn has one weight a pixel there, the difference of these two
            penalty *= 2

        def cost(flat: Rows) -> tuple[float, Rows]:
            weights = flat.reshape(classes, width)
            loss = penalty / 2 * float(np.sum(weights[:, :-1] ** 2))
            gradient = penalty * weights
            gradient[:, -1] = 0
            for number in range(len(blocks.sizes)):
                rows, labels = blocks[number]
                scores = rows @ weights[:, :-1].T.astype(rows.dtype) + weights[:, -1]
                surplus = np.exp(log_softmax(scores, axis=1))
                own = np.arange(len(labels)), labels
                loss -= float(np.sum(np.log(np.maximum(surplus[own], np.finfo(np.float64).tiny)))) / count
                surplus[own] -= 1
                gradient[:, :-1] += surplus.T.astype(rows.dtype) @ rows / count
                gradient[:, -1] += surplus.sum(axis=0) / count
            return loss, gradient.ravel()

        limits = {"maxiter": self.max_iter, "gtol": self.tol, "ftol": 64 * np.finfo(np.float64).eps}
        with threadpool_limits(1, user_api="blas"):
            found = minimize(cost, np.zeros(classes * width), method="L-BFGS-B", jac=True, options=limits)
        weights = found.x.reshape(classes, width)
        if classes == 2:
            weights = weights[1:] - weights[:1]
        self.classes_, self.n_features_in_ = np.arange(classes), width - 1
        self.coef_, self.intercept_ = weights[:, :-1].copy(), weights[:, -1].copy()
        self.n_iter_ = np.array([found.nit])
        return self
