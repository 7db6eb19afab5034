"""Least squares on fixed features: random waves over the edge directions of digits set upright."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.kernel_approximation import RBFSampler
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import MomentNormalizer, OrientationHistograms, PrincipalComponents

BLOCK = 5_000  # rows whose features are in memory at once: 200 MB of them


class FourierRidge(ClassifierMixin, BaseEstimator):
    """Ridge regression to one-hot targets on random Fourier features, which are made block by block.

    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS 2007.
    """

    on_progress = None

    def __init__(self, features, gamma, alpha, sharpness, seed=None):
        self.features = features
        self.gamma = gamma
        self.alpha = alpha
        self.sharpness = sharpness
        self.seed = seed

    def fit(self, X, y):
        """Sum up the normal equations over the blocks, and solve them by Cholesky's method."""
        self.classes_ = np.unique(y)
        features = min(self.features, len(X))  # more would be left undetermined
        self.waves_ = RBFSampler(gamma=self.gamma, n_components=features, random_state=self.seed).fit(X)
        products = np.zeros((features, features), np.float32)
        sums = np.zeros((features, len(self.classes_)), np.float32)
        starts = range(0, len(X), BLOCK)
        for done, start in enumerate(starts, start=1):
            waves = self.waves_.transform(X[start : start + BLOCK])
            products += waves.T @ waves
            sums += waves.T @ np.float32(y[start : start + BLOCK, None] == self.classes_)
            if self.on_progress is not None:
                self.on_progress(done, len(starts), "block")
        products[np.diag_indices(features)] += np.float32(self.alpha * len(X))
        self.weights_ = cho_solve(cho_factor(products, overwrite_a=True, check_finite=False), sums)
        return self

    def predict(self, X):
        """Return the class whose target is met best."""
        return self.classes_[self._scores(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Return the softmax of the targets met, each times `sharpness`."""
        return softmax(self.sharpness * self._scores(X), axis=1)

    def _scores(self, X):
        starts = range(0, len(X), BLOCK)
        return np.concatenate(
            [self.waves_.transform(X[start : start + BLOCK]) @ self.weights_ for start in starts]
        )


def build(
    seed, image_shape, scaling=0.7, components=64, features=10_000, gamma=0.6, alpha=1e-6, sharpness=12.0
):
    side = min(image_shape)
    return make_pipeline(
        MomentNormalizer(image_shape, scaling=scaling),
        OrientationHistograms(image_shape, strides=(side / 7, side / 4)),
        PrincipalComponents(components, seed=seed),
        FourierRidge(features, gamma, alpha, sharpness, seed),
    )
