"""One support vector machine (RBF) per class on the edge directions of deskewed digits."""

from mnistbench.estimators.preprocessing import PrincipalComponents, edge_pipeline
from mnistbench.estimators.svm import OneVsRest, rbf_svc


def build(seed, threads, image_shape, scaling=0.7, components=96, C=3.0, gamma=1.0, sharpness=3.0):
    machines = OneVsRest(rbf_svc(C, gamma, threads), sharpness)
    return edge_pipeline(image_shape, scaling, PrincipalComponents(components, seed), machines)
