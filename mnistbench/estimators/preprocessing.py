"""Transformers of images that several models share, and pipelines of them.

Images come and go as flat rows, shape (n, height * width), as scikit-learn wants them. What needs to know
their height and width takes `image_shape`; None takes a row as an image one pixel high.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from mnistbench.estimators.arrays import Distortion, Images, Rows

_BATCH = 1_000  # images worked on at once, so that the intermediate arrays stay in the processor's cache


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

    def transform(self, X: Any) -> Rows:
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


class _ImageTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Checks rows of pixels, and hands them on as images, a batch at a time."""

    image_shape: tuple[int, int] | None

    def _fit_images(self, X: Any) -> tuple[int, int]:
        X = validate_data(self, X, dtype=[np.float32, np.float64])
        height, width = self.image_shape or (1, X.shape[1])
        if height * width != X.shape[1]:
            raise ValueError(f"X has {X.shape[1]} pixels a row; image_shape is {self.image_shape}")
        self.image_shape_ = (height, width)
        return self.image_shape_

    def _transform_images(self, X: Any, transform: Callable[[Images], Rows]) -> Rows:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        parts = [transform(images) for images in self._batches(X)]
        return np.concatenate(parts)

    def _batches(self, X: Rows) -> Iterator[Images]:
        for start in range(0, len(X), _BATCH):
            yield X[start : start + _BATCH].reshape(-1, *self.image_shape_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class MomentNormalizer(OneToOneFeatureMixin, _ImageTransformer):  # type: ignore[misc]
    """Deskews each image, centres it, and brings it closer to one size, by its moments.

    The shear makes the covariance of rows and columns zero, as the deskewed sets of Y. LeCun et al.,
    "Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998), do; the size is the
    second moments', as in the moment normalisation of C.-L. Liu et al., "Handwritten digit recognition:
    investigation of normalization and feature extraction techniques", Pattern Recognition 37 (2004).
    Pixels are interpolated linearly along each axis; what lies outside an image is 0.

    Args:
        image_shape: (height, width) of the images.
        scaling: How much of the difference in size goes: 0 keeps each image's own, 1 makes all alike.
        spread: The standard deviation (down, across) of an image's ink that scaling leads to, in parts of
            its height and width.
    """

    def __init__(
        self,
        image_shape: tuple[int, int] | None = None,
        scaling: float = 0.0,
        spread: tuple[float, float] = (0.186, 0.161),
    ) -> None:
        self.image_shape = image_shape
        self.scaling = scaling
        self.spread = spread

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Check images X, float, shape (n, height * width).

        Raises:
            ValueError: X cannot be used, or does not hold images of that shape.
        """
        self._fit_images(X)
        return self

    def transform(self, X: Any) -> Rows:
        """Return the images normalised, in the type and shape of X; an image without ink stays empty.

        Raises:
            ValueError: X has another number of columns than in `fit`.
        """
        return self._transform_images(X, self._normalized)

    def _normalized(self, images: Images) -> Rows:
        count, height, width = images.shape
        rows, columns = np.arange(height, dtype=images.dtype), np.arange(width, dtype=images.dtype)
        ink = np.maximum(images, 0)
        down, across = ink.sum(axis=2), ink.sum(axis=1)
        mass = np.maximum(down.sum(axis=1), np.finfo(images.dtype).tiny)
        centre_down, centre_across = down @ rows / mass, across @ columns / mass
        from_centre = rows - centre_down[:, None]
        covariance = ((ink @ columns - centre_across[:, None] * down) * from_centre).sum(axis=1) / mass
        # A quarter of a pixel squared: a line has some width, and an empty image must not divide by zero.
        variance_down = np.maximum((down * from_centre**2).sum(axis=1) / mass, 0.25)
        variance_across = (across * (columns - centre_across[:, None]) ** 2).sum(axis=1) / mass
        shear = covariance / variance_down
        variance_across = np.maximum(variance_across - shear * covariance, 0.25)
        scale_down = (np.sqrt(variance_down) / (self.spread[0] * height)) ** self.scaling
        scale_across = (np.sqrt(variance_across) / (self.spread[1] * width)) ** self.scaling

        steps_down = scale_down[:, None] * (rows - (height - 1) / 2)
        source_rows = centre_down[:, None] + steps_down
        source_columns = (
            (centre_across[:, None] + shear[:, None] * steps_down)[:, :, None]
            + (scale_across[:, None] * (columns - (width - 1) / 2))[:, None, :]
        )  # fmt: skip
        framed = np.pad(images, [(0, 0), (1, 1), (1, 1)])
        above, share = _neighbour(source_rows, height)
        each = np.arange(count)[:, None]
        share = share[:, :, None].astype(images.dtype)
        stretched = (1 - share) * framed[each, above] + share * framed[each, above + 1]
        left, share = _neighbour(source_columns, width)
        share = share.astype(images.dtype)
        starts = (np.arange(count * height) * (width + 2)).reshape(count, height, 1)
        flat, index = stretched.ravel(), starts + left
        moved = (1 - share) * flat[index] + share * flat[index + 1]
        return np.asarray(moved.reshape(count, -1))


def _neighbour(position: NDArray[Any], size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the pixel before each position, in a row framed by zeros, and how far beyond it lies."""
    position = np.clip(position + 1, 0, size + 1 - 1e-4)  # outside the frame all is zero
    before = position.astype(np.intp)
    return before, position - before


class OrientationHistograms(ClassNamePrefixFeaturesOutMixin, _ImageTransformer):  # type: ignore[misc]
    """How much edge of each direction lies around each point of a grid.

    The gradient is split between the two nearest of `bins` directions as a sum of vectors, so that nothing
    jumps when an edge turns, and summed over overlapping windows: the direction features of C.-L. Liu et
    al., "Handwritten digit recognition: benchmarking of state-of-the-art techniques", Pattern Recognition 36
    (2003), with their square root, and close kin to the histograms of N. Dalal and B. Triggs, CVPR 2005.

    Args:
        image_shape: (height, width) of the images.
        strides: Distance between the points of each grid, pixels; there is one grid a stride, with as many
            points a side as fit best, from one to one a pixel. A window reaches to the next point, where its
            weight has fallen to zero.
        bins: Directions, at equal angles around the whole circle; at least 4.
    """

    def __init__(
        self,
        image_shape: tuple[int, int] | None = None,
        strides: Sequence[float] = (4, 7),
        bins: int = 8,
    ) -> None:
        self.image_shape = image_shape
        self.strides = strides
        self.bins = bins

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Lay the grids over images X, float, shape (n, height * width).

        Raises:
            ValueError: X cannot be used, holds no images of that shape, or a parameter is out of range.
        """
        height, width = self._fit_images(X)
        if self.bins < 4 or not len(self.strides) or min(self.strides) <= 0:
            raise ValueError(
                f"bins is {self.bins} and strides is {self.strides}; "
                "expected at least 4 bins, and one or more positive strides"
            )
        grids = [np.kron(_windows(height, stride), _windows(width, stride)) for stride in self.strides]
        self.windows_ = np.concatenate(grids).T
        self._n_features_out = self.windows_.shape[1] * self.bins
        return self

    def transform(self, X: Any) -> Rows:
        """Return the histograms, in the type of X, shape (n, points * bins); each row has length 1, or 0.

        Raises:
            ValueError: X has another number of columns than in `fit`.
        """
        return self._transform_images(X, self._histograms)

    def _histograms(self, images: Images) -> Rows:
        framed = np.pad(images, [(0, 0), (1, 1), (1, 1)])
        across = (framed[:, 1:-1, 2:] - framed[:, 1:-1, :-2]).reshape(len(images), -1)
        down = (framed[:, 2:, 1:-1] - framed[:, :-2, 1:-1]).reshape(len(images), -1)
        windows = self.windows_.astype(images.dtype)
        angles = np.arange(self.bins) * (2 * np.pi / self.bins)
        # Cross products with the directions: between two of them, they are the parts of the vector sum.
        sides = [
            across * images.dtype.type(np.sin(angle)) - down * images.dtype.type(np.cos(angle))
            for angle in angles
        ]
        histograms = np.empty((len(images), windows.shape[1], self.bins), images.dtype)
        for direction in range(self.bins):
            strength = np.minimum(sides[(direction + 1) % self.bins], -sides[direction - 1])
            histograms[:, :, direction] = np.maximum(strength, 0, out=strength) @ windows
        rows = np.sqrt(histograms, out=histograms).reshape(len(images), -1)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(rows.dtype).tiny)
        return rows


def _windows(size: int, stride: float) -> NDArray[Any]:
    """Return triangular windows over `size` pixels, each summing to 1, float64, shape (points, size)."""
    points = min(size, max(1, round(size / stride)))
    spacing = size / points
    centres = (np.arange(points) + 0.5) * spacing - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(size) - centres[:, None]) / spacing)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


class PrincipalComponents(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The first principal components, on a scale on which a kernel's width means the same for any data.

    They are divided by one number, so that two rows lie a squared distance of 2 apart on average: an RBF
    kernel's gamma of 1 is then what scikit-learn's SVC calls "scale".

    Args:
        count: How many components; fewer where there are fewer rows or columns.
        seed: For the randomised solver, which scikit-learn's PCA takes for some shapes.
    """

    def __init__(self, count: int = 64, seed: int | None = None) -> None:
        self.count = count
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Find the components of X, float, shape (n, d).

        Raises:
            ValueError: X cannot be used, or `count` is below 1.
        """
        X = validate_data(self, X, dtype=[np.float32, np.float64], ensure_min_samples=2)
        if self.count < 1:
            raise ValueError(f"count is {self.count}; expected at least 1")
        with np.errstate(invalid="ignore"):  # PCA also divides by the variance, of which there may be none
            self.pca_ = PCA(min(self.count, *X.shape), random_state=self.seed).fit(X)
        kept = float(self.pca_.explained_variance_.sum())
        self.scale_ = kept**-0.5 if kept > 0 else 1.0
        self._n_features_out = self.pca_.n_components_
        return self

    def transform(self, X: Any) -> Rows:
        """Return the components, in the type of X, shape (n, min(count, rows and columns in `fit`)).

        Raises:
            ValueError: X has another number of columns than in `fit`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        components = self.pca_.transform(X)
        components *= components.dtype.type(self.scale_)
        return np.asarray(components)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def edge_directions(image_shape: tuple[int, int], scaling: float) -> Pipeline:
    """Return the record recipes' features: deskew each digit, then describe it by its edge directions.

    Args:
        image_shape: (height, width) of the images.
        scaling: See `MomentNormalizer`.
    """
    side = min(image_shape)
    return make_pipeline(
        MomentNormalizer(image_shape, scaling=scaling),
        OrientationHistograms(image_shape, strides=(side / 7, side / 4)),
    )


def components_and_discriminants(count: int, seed: int | None) -> FeatureUnion:
    """Return axes for trees to split on: so many principal components, and the linear discriminants."""
    return make_union(PrincipalComponents(count, seed=seed), LinearDiscriminantAnalysis())


class AugmentedPipeline(Pipeline):  # type: ignore[misc]
    """A pipeline whose steps are fitted to the training images and to distorted copies of them.

    Prediction is that of the pipeline, which sees each image once, as it is.

    Args:
        steps: (name, estimator) of each step, as for scikit-learn's Pipeline; the last is a classifier.
        image_shape: (height, width) of the images in the rows of X.
        distort: Called with images, shape (n, height, width), and a NumPy generator, it returns as many.
        copies: Distorted copies of each training image; 0 for none.
        seed: Of the distortions. None draws one.
    """

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        image_shape: tuple[int, int],
        distort: Distortion,
        *,
        copies: int = 1,
        seed: int | None = None,
    ) -> None:
        super().__init__(steps)
        self.image_shape = image_shape
        self.distort = distort
        self.copies = copies
        self.seed = seed

    def fit(self, X: Any, y: Any, **parameters: Any) -> Self:
        """Fit the steps to images X, float, shape (n, height * width), labels y, shape (n,), and the copies.

        Raises:
            ValueError: `copies` is negative, or a step cannot use X or y.
        """
        if self.copies < 0:
            raise ValueError(f"copies is {self.copies}; expected 0 or more")
        generator = np.random.default_rng(self.seed)
        images = X.reshape(-1, *self.image_shape)
        seen = np.empty((self.copies + 1, *X.shape), dtype=X.dtype)
        seen[0] = X
        for copy in seen[1:]:
            copy[:] = self.distort(images, generator).reshape(X.shape)
        super().fit(seen.reshape(-1, X.shape[1]), np.tile(y, self.copies + 1), **parameters)
        return self
