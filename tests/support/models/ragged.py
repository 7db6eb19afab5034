"""Predicts rows of several lengths."""


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return [[0] * (i % 3) for i in range(len(X))]


def build():
    return Stub()
