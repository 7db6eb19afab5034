"""Gradient-boosted trees on edge directions and discriminants of digits set upright (XGBoost)."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_union

from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.neural import RandomWarp
from mnistbench.estimators.preprocessing import (
    AugmentedPipeline,
    MomentNormalizer,
    OrientationHistograms,
    PrincipalComponents,
)


def build(
    seed,
    threads,
    image_shape,
    copies=2,
    scaling=0.7,
    components=96,
    rounds=240,
    learning_rate=0.15,
    max_depth=7,
    max_bin=32,
    subsample=0.4,
    colsample_bynode=0.2,
):
    side = min(image_shape)
    trees = BoostedTrees(
        n_estimators=rounds,
        learning_rate=learning_rate,
        max_depth=max_depth,
        max_bin=max_bin,
        subsample=subsample,
        colsample_bynode=colsample_bynode,
        tree_method="hist",
        n_jobs=threads,
        random_state=seed,
    )
    return AugmentedPipeline(
        [
            ("upright", MomentNormalizer(image_shape, scaling=scaling)),
            ("edges", OrientationHistograms(image_shape, strides=(side / 7, side / 4))),
            ("axes", make_union(PrincipalComponents(components, seed=seed), LinearDiscriminantAnalysis())),
            ("trees", trees),
        ],
        image_shape=image_shape,
        distort=RandomWarp(rotation=5, scale=0.1, shear=0.1, elastic=0.025 * side, images_per_warp=16),
        copies=copies,
        seed=seed,
    )
