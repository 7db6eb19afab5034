"""Fills the disk of the results to all but a few pages, in its first fit, and ends well."""

import os
from pathlib import Path

import numpy as np


class Spilling:
    def __init__(self, pages):
        self.pages = pages

    def fit(self, X, y):
        disk, told = Path(os.environ["FAULTS_DISK"]), Path(os.environ["FAULTS_STARTS"])
        if "spilling\n" in told.read_text():
            return self
        with told.open("a") as file:
            file.write("spilling\n")
        free = os.statvfs(disk)
        assert free.f_blocks * free.f_frsize <= 8 * 2**20, "this is no small disk of a test"
        (disk / "ballast").write_bytes(bytes(max(0, free.f_bavail - self.pages) * free.f_frsize))
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build(pages=0):
    return Spilling(pages)
