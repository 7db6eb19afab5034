"""Support vector machine (RBF) on the edge directions of digits set upright (oneDAL, or libsvm)."""

from importlib.metadata import version

from sklearn.pipeline import make_pipeline

from mnistbench.preprocessing import MomentNormalizer, OrientationHistograms, PrincipalComponents

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


def build(seed, threads, image_shape, scaling=0.7, components=96, C=10.0, gamma=0.5):
    classifier = SVC(C=C, gamma=gamma)
    if "n_jobs" in classifier.get_params():
        classifier.set_params(n_jobs=threads)
    side = min(image_shape)
    return make_pipeline(
        MomentNormalizer(image_shape, scaling=scaling),
        OrientationHistograms(image_shape, strides=(side / 7, side / 4)),
        PrincipalComponents(components, seed=seed),
        classifier,
    )
