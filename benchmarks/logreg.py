"""Multinomial logistic regression on the raw pixels, which are only centred (scikit-learn)."""

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mnistbench.estimators.logistic import SerialLogisticRegression


def build(C=0.15, tol=3e-4, max_iter=500):
    # Centred pixels are less alike, so L-BFGS takes a third of the steps; equal scales would undo that.
    regression = SerialLogisticRegression(C=C, tol=tol, max_iter=max_iter)
    return make_pipeline(StandardScaler(with_std=False), regression)
