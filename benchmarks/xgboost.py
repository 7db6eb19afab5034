"""Gradient-boosted trees on means of 2 x 2 pixels, in a few levels of grey (XGBoost)."""

from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.preprocessing import BlockMeans, QuantizePixels


def build(
    seed,
    threads,
    image_shape,
    rounds=240,
    hard_rounds=320,
    learning_rate=0.25,
    max_depth=6,
    max_bin=32,
    subsample=0.9,
    colsample_bynode=0.2,
):
    trees = BoostedTrees(
        n_estimators=rounds,
        hard_rounds=hard_rounds,
        learning_rate=learning_rate,
        max_depth=max_depth,
        max_bin=max_bin,
        subsample=subsample,
        colsample_bynode=colsample_bynode,
        missing=0,  # most pixels are black: as missing values they cost a histogram nothing
        n_jobs=threads,
        random_state=seed,
    )
    return make_pipeline(BlockMeans(image_shape), VarianceThreshold(), QuantizePixels(levels=256), trees)
