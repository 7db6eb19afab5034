"""k nearest neighbours on principal components: no training, but it keeps every image (scikit-learn)."""

from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import PrincipalComponents


def build(seed, threads, components=50, k=5, weights="distance"):
    neighbours = KNeighborsClassifier(k, weights=weights, algorithm="brute", n_jobs=threads)
    return make_pipeline(PrincipalComponents(components, seed), neighbours)
