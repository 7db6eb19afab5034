"""One decision tree: each answer can be followed, but a forest errs far less (scikit-learn)."""

from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from mnistbench.estimators.preprocessing import QuantizePixels


def build(seed, levels=16, criterion="entropy"):
    tree = DecisionTreeClassifier(criterion=criterion, random_state=seed)
    return make_pipeline(QuantizePixels(levels=levels), tree)
