"""Raises when it is built."""


def build(depth=-1):
    raise ValueError(f"depth must be positive, not {depth}")
