"""Support vector machine (RBF) on principal components of the pixels (scikit-learn-intelex, if available)."""

from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import PrincipalComponents
from mnistbench.estimators.svm import rbf_svc


def build(seed, threads, components=100, C=10.0, gamma=1.2):
    # A kernel of 100 numbers takes half the time of one of 784 pixels, and what is left out is mostly noise.
    # No probabilities: they take five more fits, and their labels are not those of predict.
    return make_pipeline(PrincipalComponents(components, seed), rbf_svc(C, gamma, threads))
