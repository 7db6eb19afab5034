"""Multinomial logistic regression on random Fourier features of the edge directions of digits set upright."""

from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mnistbench.estimators.preprocessing import MomentNormalizer, OrientationHistograms, PrincipalComponents


def build(
    seed, image_shape, scaling=0.7, components=80, features=4000, gamma=0.5, C=0.01, tol=1e-4, max_iter=500
):
    side = min(image_shape)
    return make_pipeline(
        MomentNormalizer(image_shape, scaling=scaling),
        OrientationHistograms(image_shape, strides=(side / 7, side / 4)),
        PrincipalComponents(components, seed=seed),
        RBFSampler(gamma=gamma, n_components=features, random_state=seed),
        StandardScaler(),
        LogisticRegression(C=C, tol=tol, max_iter=max_iter),
    )
