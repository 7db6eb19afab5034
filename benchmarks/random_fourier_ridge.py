"""Ridge regression on random Fourier features: almost svm from one linear system, but much memory."""

from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import PrincipalComponents
from mnistbench.estimators.ridge import FourierRidge


def build(seed, components=40, features=6000, gamma=0.5, alpha=1e-6, sharpness=12.0):
    ridge = FourierRidge(features, gamma, alpha, sharpness, seed)
    return make_pipeline(PrincipalComponents(components, seed), ridge)
