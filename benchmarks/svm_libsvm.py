"""The support vector machine of svm, by libsvm, which uses one core (scikit-learn)."""

from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from mnistbench.estimators.preprocessing import PrincipalComponents


def build(seed, components=100, C=10.0, gamma=1.2, cache_megabytes=1000):
    machine = SVC(C=C, gamma=gamma, cache_size=cache_megabytes)
    return make_pipeline(PrincipalComponents(components, seed), machine)
