"""Support vector machine with an RBF kernel on the raw pixels (scikit-learn-intelex where available)."""

from mnistbench.estimators.svm import rbf_svc


def build(threads, C=10.0, gamma="scale"):
    # No probabilities: they take five more fits, and their labels are not those of predict.
    return rbf_svc(C, gamma, threads)
