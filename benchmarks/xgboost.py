"""Gradient-boosted trees on the raw pixels, in a few levels of grey (XGBoost)."""

from functools import partial

from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.preprocessing import QuantizePixels


def recipe(seed, threads, rounds, **boosting):
    trees = BoostedTrees(
        n_estimators=rounds,
        tree_method="hist",
        missing=0,  # most pixels are black: as missing values they cost a histogram nothing
        n_jobs=threads,
        random_state=seed,
        **boosting,
    )
    return make_pipeline(VarianceThreshold(), QuantizePixels(levels=256), trees)


build = partial(
    recipe, rounds=280, learning_rate=0.25, max_depth=6, max_bin=8, subsample=0.9, colsample_bynode=0.1
)
