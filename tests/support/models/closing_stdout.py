"""Closes its standard streams, and the files beneath them."""

import contextlib
import os
import sys
import warnings

import numpy as np


class Stub:
    def fit(self, X, y):
        sys.stdout.close()
        sys.stderr.close()
        for number in (1, 2):
            with contextlib.suppress(OSError):
                os.close(number)
        warnings.warn("nobody hears this", stacklevel=1)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
