"""Gradient-boosted trees on axes of the edge directions of deskewed digits (XGBoost)."""

from functools import partial

from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.distortions import slight_warps
from mnistbench.estimators.preprocessing import (
    AugmentedPipeline,
    components_and_discriminants,
    edge_directions,
)


def recipe(seed, threads, image_shape, copies, scaling, components, rounds, **boosting):
    trees = BoostedTrees(
        n_estimators=rounds, tree_method="hist", n_jobs=threads, random_state=seed, **boosting
    )
    steps = [
        ("edges", edge_directions(image_shape, scaling)),
        ("axes", components_and_discriminants(components, seed)),
        ("trees", trees),
    ]
    return AugmentedPipeline(steps, image_shape, slight_warps(image_shape), copies=copies, seed=seed)


build = partial(
    recipe,
    copies=2,
    scaling=0.7,
    components=96,
    rounds=240,
    learning_rate=0.15,
    max_depth=7,
    max_bin=32,
    subsample=0.4,
    colsample_bynode=0.2,
)
