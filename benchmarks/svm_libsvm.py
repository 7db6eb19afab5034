"""The same support vector machine as svm, by scikit-learn's own libsvm, which uses one core."""

from importlib.metadata import version

from sklearn.svm import SVC


def build(C=10.0, gamma="scale", cache_megabytes=1000):
    model = SVC(C=C, gamma=gamma, cache_size=cache_megabytes)
    model.engine_ = f"scikit-learn {version('scikit-learn')} (libsvm)"
    return model
