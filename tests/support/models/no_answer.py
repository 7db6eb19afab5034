"""Predicts nothing at all."""


class Stub:
    def fit(self, X, y):
        return self

    def predict(self, X):
        return None


def build():
    return Stub()
