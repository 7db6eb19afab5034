"""Prints where and with what it runs."""

import json
import os
from pathlib import Path

import numpy as np

NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "LOKY_MAX_CPU_COUNT")


class Stub:
    def fit(self, X, y):
        variables = {name: os.environ.get(name) for name in NAMES}
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        seen = {
            "cores": cores,
            "folder": str(Path.cwd()),
            "session": os.getsid(0) == os.getpid(),
            **variables,
        }
        os.write(1, f"SEEN {json.dumps(seen)}\n".encode())
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Stub()
