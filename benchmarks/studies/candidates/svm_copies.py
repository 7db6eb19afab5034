"""The recipe of svm_record, trained on distorted copies of the images, too."""

from mnistbench.estimators.preprocessing import PrincipalComponents, edge_pipeline
from mnistbench.estimators.svm import OneVsRest, rbf_svc


def build(seed, threads, image_shape, copies=0, scaling=0.7, components=96, C=3.0, gamma=1.0, sharpness=3.0):
    machines = OneVsRest(rbf_svc(C, gamma, threads), sharpness)
    axes = PrincipalComponents(components, seed)
    return edge_pipeline(image_shape, scaling, axes, machines, copies=copies, seed=seed)
