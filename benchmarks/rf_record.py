"""Extremely randomised trees on edge directions and discriminants of digits set upright (scikit-learn)."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.pipeline import make_union

from mnistbench.estimators.neural import RandomWarp
from mnistbench.estimators.preprocessing import (
    AugmentedPipeline,
    MomentNormalizer,
    OrientationHistograms,
    PrincipalComponents,
)


def build(seed, threads, image_shape, copies=1, scaling=0.7, components=64, trees=60, max_features=0.25):
    side = min(image_shape)
    axes = make_union(PrincipalComponents(components, seed=seed), LinearDiscriminantAnalysis())
    forest = ExtraTreesClassifier(trees, max_features=max_features, n_jobs=threads, random_state=seed)
    return AugmentedPipeline(
        [
            ("upright", MomentNormalizer(image_shape, scaling=scaling)),
            ("edges", OrientationHistograms(image_shape, strides=(side / 7, side / 4))),
            ("axes", axes),
            ("forest", forest),
        ],
        image_shape=image_shape,
        distort=RandomWarp(rotation=5, scale=0.1, shear=0.1, elastic=0.025 * side, images_per_warp=16),
        copies=copies,
        seed=seed,
    )
