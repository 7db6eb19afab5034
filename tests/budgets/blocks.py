"""Measure how the memory of training by blocks grows with the images.

`make bench-blocks` trains short recipes on 4 and on 16 blocks of 10,000 random images, 14 by 14, each in a
process of its own. In memory, the 120,000 further images alone would take 94 MB as float32. The budget for
the growth is 60 MB, as the kernel may map XGBoost's files of quantised pixels, 24 MB, into memory; beyond
it the exit status is 1.
"""

import json
import subprocess
import sys

FEW, MANY, MEGABYTES = 4, 16, 60
_TRAIN = """
import json, resource, sys
import numpy as np

class Blocks:
    class_count = 10
    def __init__(self, count):
        self.sizes = [10_000] * count
    def __getitem__(self, number):
        draw = np.random.default_rng(number)
        labels = draw.integers(0, 10, 10_000)
        return draw.random((10_000, 196), np.float32) + labels[:, None] / np.float32(20), labels

name, count = sys.argv[1], int(sys.argv[2])
if name == "logreg":
    from mnistbench.estimators.logistic import SerialLogisticRegression
    model = SerialLogisticRegression(max_iter=2)
elif name == "xgboost":
    from mnistbench.estimators.boosting import BoostedTrees
    model = BoostedTrees(n_estimators=2, max_bin=16, missing=0, n_jobs=1)
else:
    from mnistbench.estimators.neural import NeuralClassifier, Training, load_keras
    load_keras(None, 1)
    layers = lambda layers: [layers.Flatten(), layers.Dense(32, activation="relu")]
    model = NeuralClassifier(layers, Training(batch_size=500, min_steps=1), (14, 14), threads=1, seed=0)
model.fit_blocks(Blocks(count))
# Kilobytes on Linux. A small process started this one, so this is its own peak.
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))
"""


def main():
    """Print the peak memory of each, and end with status 1 if it grows beyond the budget."""
    is_over = False
    for name in sys.argv[1:] or ("logreg", "xgboost", "network"):
        few, many = (
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", _TRAIN, name, str(count)], stdout=subprocess.PIPE, check=True
                ).stdout
            )
            for count in (FEW, MANY)
        )
        sys.stdout.write(
            f"{name}: {few:.0f} MB with {FEW} blocks, {many:.0f} MB with {MANY} "
            f"(budget {MEGABYTES} MB more)\n"
        )
        sys.stdout.flush()
        is_over |= many - few > MEGABYTES
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
