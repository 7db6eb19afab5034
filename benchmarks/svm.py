"""Support vector machine with an RBF kernel on the raw pixels (oneDAL, or libsvm where it has no wheel)."""

from importlib.metadata import version

try:
    from sklearnex import svm
except ImportError:
    from sklearn import svm


class SVC(svm.SVC):
    """Tells the engine that fitted it: scikit-learn-intelex can fall back to libsvm without a word."""

    def fit(self, X, y):
        """Fit as usual, and note which engine did it."""
        super().fit(X, y)
        if getattr(self, "_onedal_estimator", None) is not None:
            self.engine_ = f"scikit-learn-intelex {version('scikit-learn-intelex')} (oneDAL)"
        else:
            self.engine_ = f"scikit-learn {version('scikit-learn')} (libsvm)"
        return self


def build(threads, C=10.0, gamma="scale"):
    # No probabilities: they take five more fits, and their labels are not those of predict.
    model = SVC(C=C, gamma=gamma)
    return model.set_params(n_jobs=threads) if "n_jobs" in model.get_params() else model
