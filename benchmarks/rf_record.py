"""Extremely randomised trees on axes of the edge directions of deskewed digits (scikit-learn)."""

from sklearn.ensemble import ExtraTreesClassifier

from mnistbench.estimators.distortions import slight_warps
from mnistbench.estimators.preprocessing import (
    AugmentedPipeline,
    components_and_discriminants,
    edge_directions,
)


def build(seed, threads, image_shape, copies=1, scaling=0.7, components=64, trees=60, max_features=0.25):
    forest = ExtraTreesClassifier(trees, max_features=max_features, n_jobs=threads, random_state=seed)
    steps = [
        ("edges", edge_directions(image_shape, scaling)),
        ("axes", components_and_discriminants(components, seed)),
        ("forest", forest),
    ]
    return AugmentedPipeline(steps, image_shape, slight_warps(image_shape), copies=copies, seed=seed)
