"""Linear SVM on a Nystroem map of the RBF kernel: a small model, but one core (scikit-learn)."""

from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from mnistbench.estimators.preprocessing import PrincipalComponents


def build(seed, components=50, gamma=0.5, features=500, C=10.0, tol=1e-3):
    return make_pipeline(
        PrincipalComponents(components, seed),
        Nystroem(gamma=gamma, n_components=features, random_state=seed),
        LinearSVC(C=C, tol=tol, dual=False, random_state=seed),
    )
