"""Ridge regression on random Fourier features."""

from typing import Any, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.kernel_approximation import RBFSampler

from mnistbench.estimators.arrays import Labels, Progress, Scores

_BLOCK = 5_000  # rows whose features, 200 MB, are in memory at once


class FourierRidge(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression to one-hot targets on random Fourier features, which are made block by block.

    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS 2007.

    Args:
        features: Number of random features, at most one per training row.
        gamma: The RBF kernel's, which the features approximate.
        alpha: The ridge penalty per training row.
        sharpness: Multiplies the scores before the softmax that gives probabilities; it does not change the
            labels.
        seed: Seed of the features. None draws one.

    Attributes:
        classes_: The labels, sorted, shape (k,).
        on_progress: None, or a function that `fit` calls as on_progress(done, total, "block").
    """

    on_progress: Progress | None = None

    def __init__(
        self, features: int, gamma: float, alpha: float, sharpness: float = 1.0, seed: int | None = None
    ) -> None:
        self.features = features
        self.gamma = gamma
        self.alpha = alpha
        self.sharpness = sharpness
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to X, float, shape (n, d), and labels y, shape (n,): normal equations, solved by Cholesky."""
        self.classes_ = np.unique(y)
        features = min(self.features, len(X))  # more would be undetermined
        self.waves_ = RBFSampler(gamma=self.gamma, n_components=features, random_state=self.seed).fit(X)
        products = np.zeros((features, features), np.float32)
        sums = np.zeros((features, len(self.classes_)), np.float32)
        starts = range(0, len(X), _BLOCK)
        for done, start in enumerate(starts, start=1):
            waves = self.waves_.transform(X[start : start + _BLOCK])
            products += waves.T @ waves
            sums += waves.T @ np.float32(y[start : start + _BLOCK, None] == self.classes_)
            if self.on_progress is not None:
                self.on_progress(done, len(starts), "block")
        products[np.diag_indices(features)] += np.float32(self.alpha * len(X))
        self.weights_ = cho_solve(cho_factor(products, overwrite_a=True, check_finite=False), sums)
        return self

    def predict(self, X: Any) -> Labels:
        """Return the class with the highest score for each row of X, shape (n,)."""
        return np.asarray(self.classes_[self._scores(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> Scores:
        """Return the probability of each class, shape (n, k), columns as in `classes_`."""
        return np.asarray(softmax(self.sharpness * self._scores(X), axis=1))

    def _scores(self, X: Any) -> Scores:
        starts = range(0, len(X), _BLOCK)
        return np.concatenate(
            [self.waves_.transform(X[start : start + _BLOCK]) @ self.weights_ for start in starts]
        )
