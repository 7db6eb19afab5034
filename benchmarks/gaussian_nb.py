"""Naive Bayes, a normal distribution a pixel: one pass, but wrong and sure of it (scikit-learn)."""

from sklearn.naive_bayes import GaussianNB


def build(var_smoothing=0.1):
    # Added to each variance, as a share of the largest: pixels that are always black have none of their own.
    return GaussianNB(var_smoothing=var_smoothing)
