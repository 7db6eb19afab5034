"""Extremely randomised trees: a forest that draws its thresholds, but is larger (scikit-learn)."""

from sklearn.ensemble import ExtraTreesClassifier


def build(seed, threads, trees=200, max_features="sqrt"):
    return ExtraTreesClassifier(trees, max_features=max_features, n_jobs=threads, random_state=seed)
