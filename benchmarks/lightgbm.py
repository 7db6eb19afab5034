"""Gradient-boosted trees, grown leaf by leaf: quick for boosting, but an extra to install (LightGBM)."""

from lightgbm import LGBMClassifier


def build(seed, threads, rounds=100, learning_rate=0.2, leaves=31, max_bin=15, colsample_bytree=0.1):
    return LGBMClassifier(
        n_estimators=rounds,
        learning_rate=learning_rate,
        num_leaves=leaves,
        max_bin=max_bin,
        colsample_bytree=colsample_bytree,
        deterministic=True,
        force_col_wise=True,  # otherwise a short timing decides, and with it the last digits
        n_jobs=threads,
        random_state=seed,
        verbosity=-1,
    )
