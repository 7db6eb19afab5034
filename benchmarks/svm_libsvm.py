"""The support vector machine of svm, by libsvm, which uses one core (scikit-learn)."""

from sklearn.svm import SVC


def build(C=10.0, gamma="scale", cache_megabytes=1000):
    return SVC(C=C, gamma=gamma, cache_size=cache_megabytes)
