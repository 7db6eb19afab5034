"""Always the most frequent class: free, and what every model has to beat (scikit-learn)."""

from sklearn.dummy import DummyClassifier


def build():
    return DummyClassifier(strategy="prior")  # predicts as "most_frequent", with the classes' shares
