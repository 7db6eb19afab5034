"""Support vector machines, by scikit-learn-intelex where it is installed."""

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.multiclass import OneVsRestClassifier

from mnistbench.estimators.arrays import Scores
from mnistbench.estimators.optional import not_installed

try:
    with not_installed("pandas"):  # it imports it if it can, for tables in place of arrays
        from sklearnex.svm import SVC
except ImportError:  # there is no wheel for this system
    from sklearn.svm import SVC


def rbf_svc(C: float, gamma: float | str, threads: int | None) -> Any:
    """Return an SVC with an RBF kernel: scikit-learn-intelex's, else scikit-learn's, which uses one core."""
    svc = SVC(C=C, gamma=gamma)
    return svc.set_params(n_jobs=threads) if "n_jobs" in svc.get_params() else svc


class OneVsRest(OneVsRestClassifier):  # type: ignore[misc]
    """One classifier per class against the rest, with probabilities from their decisions.

    Args:
        estimator: A classifier with `decision_function`, which is cloned for each class.
        sharpness: Multiplies the decisions before the softmax that gives probabilities; it does not change
            the labels.
    """

    def __init__(self, estimator: Any, sharpness: float = 1.0) -> None:
        super().__init__(estimator)
        self.sharpness = sharpness

    def predict_proba(self, X: Any) -> Scores:
        """Return the probability of each class, shape (n, k), columns as in `classes_`."""
        decisions = self.decision_function(X)
        if decisions.ndim == 1:  # two classes have a single classifier
            decisions = np.stack([-decisions, decisions], axis=1)
        return np.asarray(softmax(self.sharpness * decisions, axis=1))
