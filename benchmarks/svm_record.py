"""Support vector machines (RBF), one a class, on the edge directions of upright digits (oneDAL or libsvm)."""

from importlib.metadata import version

import numpy as np
from scipy.special import softmax
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import MomentNormalizer, OrientationHistograms, PrincipalComponents

try:
    from sklearnex.svm import SVC
except ImportError:
    from sklearn.svm import SVC


class OneVsRest(OneVsRestClassifier):
    """Gives probabilities, and tells its engine: scikit-learn-intelex can fall back without a word."""

    def __init__(self, estimator, *, sharpness=1.0):
        super().__init__(estimator)
        self.sharpness = sharpness

    def fit(self, X, y):
        """Fit as usual, and note which engine did it."""
        super().fit(X, y)
        if all(getattr(model, "_onedal_estimator", None) is not None for model in self.estimators_):
            self.engine_ = f"scikit-learn-intelex {version('scikit-learn-intelex')} (oneDAL)"
        else:
            self.engine_ = f"scikit-learn {version('scikit-learn')} (libsvm)"
        return self

    def predict_proba(self, X):
        """Return the softmax of the machines' decisions, each times `sharpness`."""
        decisions = self.decision_function(X)
        if decisions.ndim == 1:  # of two classes one machine decides
            decisions = np.stack([-decisions, decisions], axis=1)
        return softmax(self.sharpness * decisions, axis=1)


def build(seed, threads, image_shape, scaling=0.7, components=96, C=3.0, gamma=1.0, sharpness=3.0):
    machine = SVC(C=C, gamma=gamma)
    if "n_jobs" in machine.get_params():
        machine.set_params(n_jobs=threads)
    side = min(image_shape)
    return make_pipeline(
        MomentNormalizer(image_shape, scaling=scaling),
        OrientationHistograms(image_shape, strides=(side / 7, side / 4)),
        PrincipalComponents(components, seed=seed),
        OneVsRest(machine, sharpness=sharpness),
    )
