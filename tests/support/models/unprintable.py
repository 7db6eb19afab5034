"""Raises an exception whose text raises one too."""


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def build():
    raise UnprintableError
