"""The types of the estimators' arrays and callbacks."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[Any]  # one image or its features per row, shape (n, d)
Images: TypeAlias = NDArray[Any]  # float32 or float64, shape (n, height, width) or (n, height, width, 1)
Labels: TypeAlias = NDArray[Any]  # shape (n,)
Scores: TypeAlias = NDArray[np.floating[Any]]  # logits or probabilities, one per class, shape (n, k)
Distortion: TypeAlias = Callable[[Images, np.random.Generator], Images]
Progress: TypeAlias = Callable[[int, int, str], None]  # (done, total, unit)
