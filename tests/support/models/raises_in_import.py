"""Raises when it is imported."""

raise RuntimeError("not today")


def build():
    return None
