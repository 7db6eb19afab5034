"""The data sets: MNIST (fetched and proven), the digits inside scikit-learn, and a user's own.

`resolve` turns what the user named into cached, checked arrays; `open_arrays` is how a worker reads them.
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
