"""Quadratic discriminant analysis on principal components: a second, but overconfident (scikit-learn)."""

from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mnistbench.estimators.preprocessing import PrincipalComponents


def build(seed, components=50, shrinkage=0.1):
    # Equal scales, because shrinkage draws each class's covariance towards a sphere.
    quadratic = QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    return make_pipeline(PrincipalComponents(components, seed), StandardScaler(), quadratic)
