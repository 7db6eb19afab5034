"""The data sets: those that have a name (MNIST and its family), and a user's own.

`resolve` turns the name of a data set into cached, verified arrays; a trial reads them with `open_arrays`.
"""

from typing import TYPE_CHECKING, Any

from mnistbench.datasets.arrays import Arrays, DatasetInfo, Reading
from mnistbench.datasets.cache import cache_folder, open_arrays

if TYPE_CHECKING:
    from mnistbench.datasets.catalogue import resolve

__all__ = ["Arrays", "DatasetInfo", "Reading", "cache_folder", "open_arrays", "resolve"]


def __getattr__(name: str) -> Any:
    """Look up `resolve` when it is asked for: a trial needs no client of the network."""
    if name != "resolve":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mnistbench.datasets.catalogue import resolve

    return resolve
