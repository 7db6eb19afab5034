"""Leaves its process at once with status 0, as if all had gone well."""

import os


class Exiting:
    def fit(self, X, y):
        os._exit(0)

    def predict(self, X):
        return None


def build():
    return Exiting()
