"""One support vector machine (RBF) per class on the edge directions of deskewed digits."""

from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import PrincipalComponents, edge_directions
from mnistbench.estimators.svm import OneVsRest, rbf_svc


def build(seed, threads, image_shape, scaling=0.7, components=96, C=3.0, gamma=1.0, sharpness=3.0):
    return make_pipeline(
        edge_directions(image_shape, scaling),
        PrincipalComponents(components, seed=seed),
        OneVsRest(rbf_svc(C, gamma, threads), sharpness),
    )
