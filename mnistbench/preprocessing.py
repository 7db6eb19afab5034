"""scikit-learn transformers that several models share.

Images come and go as flat rows, shape (n, height * width), as scikit-learn wants them. What needs to know
their height and width takes `image_shape`.
"""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

Array = np.ndarray[Any, np.dtype[Any]]


class QuantizePixels(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Rounds pixels in [0, 1] to whole levels of grey, as bytes; what lies outside is clipped.

    Args:
        levels: How many, from 2 to 256. The first is black, 0, and the last is white, levels - 1.
    """

    def __init__(self, levels: int = 256) -> None:
        self.levels = levels

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Check X, shape (n, d), and the number of levels.

        Raises:
            ValueError: X cannot be used, or the number of levels is out of range.
        """
        validate_data(self, X, dtype=[np.float32, np.float64])
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels is {self.levels}; expected 2 to 256, which a byte can hold")
        return self

    def transform(self, X: Any) -> Array:
        """Return the level of each pixel, uint8, shape (n, d).

        Raises:
            ValueError: X has another number of columns than in `fit`.
        """
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        scaled = X * X.dtype.type(self.levels - 1)
        np.rint(scaled, out=scaled)
        np.clip(scaled, 0, self.levels - 1, out=scaled)
        return np.asarray(scaled, dtype=np.uint8)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
