"""Builds something that is no estimator."""


def build():
    return object()
