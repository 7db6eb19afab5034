"""Ridge regression on random Fourier features of the edge directions of deskewed digits."""

from mnistbench.estimators.preprocessing import PrincipalComponents, edge_pipeline
from mnistbench.estimators.ridge import FourierRidge


def build(
    seed, image_shape, scaling=0.7, components=64, features=10_000, gamma=0.6, alpha=1e-6, sharpness=12.0
):
    ridge = FourierRidge(features, gamma, alpha, sharpness, seed)
    return edge_pipeline(image_shape, scaling, PrincipalComponents(components, seed), ridge)
