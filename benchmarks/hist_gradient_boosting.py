"""Histogram gradient boosting on principal components, as a round on pixels costs far more (scikit-learn)."""

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import PrincipalComponents


def build(seed, components=50, rounds=200, learning_rate=0.2, leaves=31, bins=64, l2=1.0):
    # A histogram costs as much for a black pixel as for any other, so fewer columns are a matter of minutes.
    trees = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        max_bins=bins,
        l2_regularization=l2,
        early_stopping=False,
        random_state=seed,
    )
    return make_pipeline(PrincipalComponents(components, seed), trees)
