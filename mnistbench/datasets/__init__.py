"""The data sets: MNIST (fetched and verified), scikit-learn's digits, and a user's own.

`resolve` turns the name of a data set into cached, verified arrays; a trial reads them with `open_arrays`.
"""

from mnistbench.datasets.arrays import Arrays, DatasetInfo, Reading
from mnistbench.datasets.cache import cache_folder, open_arrays
from mnistbench.datasets.catalogue import resolve
from mnistbench.datasets.mnist import fetch_mnist, mnist_advice

__all__ = [
    "Arrays",
    "DatasetInfo",
    "Reading",
    "cache_folder",
    "fetch_mnist",
    "mnist_advice",
    "open_arrays",
    "resolve",
]
