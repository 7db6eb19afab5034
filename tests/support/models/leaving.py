"""Calls sys.exit in fit."""

import sys


class Leaving:
    def fit(self, X, y):
        sys.exit(0)

    def predict(self, X):
        return None


def build():
    return Leaving()
