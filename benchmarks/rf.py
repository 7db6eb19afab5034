"""Random forest on the raw pixels, in sixteen levels of grey (scikit-learn)."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import QuantizePixels


def build(seed, threads, trees=100, max_features="sqrt", levels=16):
    # Few levels make ties, which the trees sort faster; fewer than these cost accuracy on garments.
    forest = RandomForestClassifier(trees, max_features=max_features, n_jobs=threads, random_state=seed)
    return make_pipeline(QuantizePixels(levels=levels), forest)
