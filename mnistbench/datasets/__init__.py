"""The data sets: those that have a name (MNIST and its family), and a user's own.

`resolve` turns the name of a data set into cached, verified arrays; a trial reads them with `open_arrays`.
"""

from mnistbench.datasets.arrays import Arrays, DatasetInfo, Reading
from mnistbench.datasets.cache import cache_folder, open_arrays
from mnistbench.datasets.catalogue import resolve

__all__ = ["Arrays", "DatasetInfo", "Reading", "cache_folder", "open_arrays", "resolve"]
