"""Gradient-boosted trees on the raw pixels, in a few levels of grey (XGBoost)."""

from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.preprocessing import QuantizePixels


def build(
    seed, threads, rounds=280, learning_rate=0.25, max_depth=6, max_bin=8, subsample=0.9, colsample_bynode=0.1
):
    trees = BoostedTrees(
        n_estimators=rounds,
        learning_rate=learning_rate,
        max_depth=max_depth,
        max_bin=max_bin,
        subsample=subsample,
        colsample_bynode=colsample_bynode,
        missing=0,  # most pixels are black: as missing values they cost a histogram nothing
        n_jobs=threads,
        random_state=seed,
    )
    return make_pipeline(VarianceThreshold(), QuantizePixels(levels=256), trees)
