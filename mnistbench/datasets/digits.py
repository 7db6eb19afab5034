"""scikit-learn's digits: a data set for machines that cannot reach any mirror.

1,797 handwritten digits of 8x8 pixels with values from 0 to 16: the test part of "Optical Recognition of
Handwritten Digits" (Alpaydin and Kaynak, 1998, UCI Machine Learning Repository,
https://doi.org/10.24432/C50P49).
"""

from pathlib import Path

import numpy as np

from mnistbench.datasets.arrays import Arrays, assemble

_SPLIT_SEED = 0
_TEST_COUNT_PER_CLASS = 50


def load_digits(place: Path) -> Arrays:  # noqa: ARG001 (a library holds them, not a folder)
    """Return the digits, scaled to 28x28 pixels and split.

    Every pixel becomes a square of 3x3, the 24x24 image gets a margin of 2 empty pixels, and the values 0 to
    16 become 0 to 255, rounded half up. Of each class, shuffled by NumPy's `RandomState(0)` (a frozen stream,
    NEP 19), the first 50 images are for testing; both parts keep the original order. A writer may be in both
    parts, so accuracies do not compare with those on MNIST, which is split by writers.
    """
    from sklearn import datasets

    digits = datasets.load_digits()
    values = digits.images.astype(np.int64)
    images = ((values * 255 + 8) // 16).repeat(3, axis=1).repeat(3, axis=2)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype(np.int64)

    random = np.random.RandomState(_SPLIT_SEED)
    is_test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        is_test[random.permutation(np.flatnonzero(labels == label))[:_TEST_COUNT_PER_CLASS]] = True
    return assemble(
        "scikit-learn's digits",
        x_train=images[~is_test],
        y_train=labels[~is_test],
        x_test=images[is_test],
        y_test=labels[is_test],
    )
