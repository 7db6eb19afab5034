"""Multinomial logistic regression on slightly blurred pixels, which are centred (scikit-learn)."""

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mnistbench.estimators.logistic import SerialLogisticRegression
from mnistbench.estimators.preprocessing import BlurPixels


def build(image_shape, blur=0.6, C=0.5, tol=3e-4, max_iter=500):
    # Neighbours in a blurred image agree, so their weights do, too, which generalises better.
    # Centred pixels are less alike, so L-BFGS takes a third of the steps; equal scales would undo that.
    regression = SerialLogisticRegression(C=C, tol=tol, max_iter=max_iter)
    return make_pipeline(BlurPixels(image_shape, blur), StandardScaler(with_std=False), regression)
