"""Gradient-boosted trees on axes of the edge directions of deskewed digits (XGBoost)."""

from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.preprocessing import components_and_discriminants, edge_pipeline


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
    axes = components_and_discriminants(components, seed)
    trees = BoostedTrees(
        n_estimators=rounds,
        learning_rate=learning_rate,
        max_depth=max_depth,
        max_bin=max_bin,
        subsample=subsample,
        colsample_bynode=colsample_bynode,
        n_jobs=threads,
        random_state=seed,
    )
    return edge_pipeline(image_shape, scaling, axes, trees, copies=copies, seed=seed)
