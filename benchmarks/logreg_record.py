"""Multinomial logistic regression on random Fourier features of the edge directions of deskewed digits."""

from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mnistbench.estimators.preprocessing import PrincipalComponents, edge_pipeline


def build(
    seed, image_shape, scaling=0.7, components=80, features=4000, gamma=0.5, C=0.01, tol=1e-4, max_iter=500
):
    return edge_pipeline(
        image_shape,
        scaling,
        PrincipalComponents(components, seed),
        RBFSampler(gamma=gamma, n_components=features, random_state=seed),
        StandardScaler(),
        LogisticRegression(C=C, tol=tol, max_iter=max_iter),
    )
