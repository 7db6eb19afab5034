"""Needs a library that is not there."""

import no_such_library


def build():
    return no_such_library.Model()
