"""scikit-learn's digits: a data set for machines that cannot reach any mirror.

1,797 handwritten digits of 8x8 pixels with values from 0 to 16: the test part of "Optical Recognition of
Handwritten Digits" (Alpaydin and Kaynak, 1998, UCI Machine Learning Repository,
https://doi.org/10.24432/C50P49).
"""

from pathlib import Path

import numpy as np

from mnistbench.datasets import cache as array_cache
from mnistbench.datasets.arrays import Arrays, DatasetInfo, assemble
from mnistbench.errors import DataError

_ARRAYS_SHA256 = "8e50cc095df7c0642df473a94511c5a3be2abc44cd3d6b0e5604acc66ce03bcd"
_SPLIT_SEED = 0
_TEST_COUNT_PER_CLASS = 50


def cached_digits(cache: Path) -> DatasetInfo:
    """Put the digits into the cache, unless they are already there intact, and describe them.

    Raises:
        DataError: The cache cannot be written, or scikit-learn's digits have changed.
    """
    folder = cache / "digits"
    arrays = array_cache.verified_arrays(folder, _ARRAYS_SHA256)
    if arrays is None:
        arrays = array_cache.store(_load_digits(), folder, source="embedded in scikit-learn")
    return DatasetInfo(
        name="digits",
        title="scikit-learn digits, scaled to 28x28",
        source="embedded in scikit-learn",
        licence="CC BY 4.0",
        sha256=_ARRAYS_SHA256,
        image_shape=(28, 28),
        classes=tuple(range(10)),
        train_count=len(arrays.x_train),
        test_count=len(arrays.x_test),
        arrays_folder=str(folder),
    )


def _load_digits() -> Arrays:
    """Return the digits, scaled to 28x28 pixels and split.

    Every pixel becomes a square of 3x3, the 24x24 image gets a margin of 2 empty pixels, and the values 0 to
    16 become 0 to 255, rounded half up. Of each class, shuffled by NumPy's `RandomState(0)` (a frozen stream,
    NEP 19), the first 50 images are for testing; both parts keep the original order. A writer may be in both
    parts, so accuracies do not compare with those on MNIST, which is split by writers.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    values = digits.images.astype(np.int64)
    images = ((values * 255 + 8) // 16).repeat(3, axis=1).repeat(3, axis=2)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype(np.int64)

    random = np.random.RandomState(_SPLIT_SEED)
    is_test = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        is_test[random.permutation(np.flatnonzero(labels == label))[:_TEST_COUNT_PER_CLASS]] = True
    arrays = assemble(
        "scikit-learn's digits",
        x_train=images[~is_test],
        y_train=labels[~is_test],
        x_test=images[is_test],
        y_test=labels[is_test],
    )
    if arrays.sha256() != _ARRAYS_SHA256:
        raise DataError(
            "The digits of this scikit-learn differ from the known ones, so results would not be comparable. "
            "Install the locked versions, or use --dataset mnist."
        )
    return arrays
