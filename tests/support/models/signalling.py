"""Kills itself by the signal it is given."""

import os


class Signalling:
    def __init__(self, number):
        self.number = number

    def fit(self, X, y):
        os.kill(os.getpid(), self.number)

    def predict(self, X):
        return None


def build(number=9):
    return Signalling(number)
