"""Extremely randomised trees on axes of the edge directions of deskewed digits (scikit-learn)."""

from sklearn.ensemble import ExtraTreesClassifier

from mnistbench.estimators.preprocessing import components_and_discriminants, edge_pipeline


def build(seed, threads, image_shape, copies=1, scaling=0.7, components=64, trees=60, max_features=0.25):
    axes = components_and_discriminants(components, seed)
    forest = ExtraTreesClassifier(trees, max_features=max_features, n_jobs=threads, random_state=seed)
    return edge_pipeline(image_shape, scaling, axes, forest, copies=copies, seed=seed)
