"""Image transformers that several models share, and pipelines of them.

Images are flat rows, shape (n, height * width), as scikit-learn expects. Transformers that need their height
and width have a parameter `image_shape`; None means an image one pixel high.
Parameters out of range are a ValueError in `fit`, as is an unsuitable X; so is another number of columns in
`transform`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
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
from mnistbench.estimators.distortions import RandomWarp

_BATCH = 1_000  # images at once, so that the intermediate arrays stay in the processor's cache


class QuantizePixels(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clips pixels to [0, 1] and rounds them to levels of grey, as bytes.

    Args:
        levels: Number of levels, from 2 to 256: 0 is black and levels - 1 is white.
    """

    def __init__(self, levels: int = 256) -> None:
        self.levels = levels

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Check X, shape (n, d), and the number of levels."""
        validate_data(self, X, dtype=[np.float32, np.float64])
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels is {self.levels}; expected 2 to 256")
        return self

    def transform(self, X: Any) -> Rows:
        """Return the level of each pixel, uint8, shape (n, d)."""
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


class _FloatTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keeps the type of the numbers it is given, float32 or float64."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class _ImageTransformer(_FloatTransformer, ABC):
    """Checks rows of pixels and passes them on as images, in batches."""

    image_shape: tuple[int, int] | None

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Check images X, float, shape (n, height * width), and lay out what depends on their shape."""
        X = validate_data(self, X, dtype=[np.float32, np.float64])
        height, width = self.image_shape or (1, X.shape[1])
        if height * width != X.shape[1]:
            raise ValueError(f"X has {X.shape[1]} pixels a row; image_shape is {self.image_shape}")
        self.image_shape_ = (height, width)
        self._n_features_out = X.shape[1]
        self._lay_out(height, width)
        return self

    def transform(self, X: Any) -> Rows:
        """Return the images transformed, a row each, in the type of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        rows = np.empty((len(X), self._n_features_out), X.dtype)
        for at in range(0, len(X), _BATCH):
            rows[at : at + _BATCH] = self._transformed(X[at : at + _BATCH].reshape(-1, *self.image_shape_))
        return rows

    def _lay_out(self, height: int, width: int) -> None:
        pass

    @abstractmethod
    def _transformed(self, images: Images) -> Rows:
        """Return images, shape (n, height, width), as rows."""


class BlurPixels(OneToOneFeatureMixin, _ImageTransformer):  # type: ignore[misc]
    """Blurs images by a Gaussian, so that neighbouring pixels agree; beyond the edge, images are mirrored.

    Args:
        image_shape: (height, width) of the images.
        sigma: The Gaussian's standard deviation in pixels, over 0.
    """

    def __init__(self, image_shape: tuple[int, int] | None = None, sigma: float = 0.5) -> None:
        self.image_shape = image_shape
        self.sigma = sigma

    def _lay_out(self, height: int, width: int) -> None:  # noqa: ARG002 - the shape does not matter
        if self.sigma <= 0:
            raise ValueError(f"sigma is {self.sigma}; expected more than 0")

    def _transformed(self, images: Images) -> Rows:
        blurred = gaussian_filter(images, self.sigma, axes=(1, 2))
        return np.asarray(blurred.reshape(len(images), -1))


class BlockMeans(ClassNamePrefixFeaturesOutMixin, _ImageTransformer):  # type: ignore[misc]
    """Shrinks images to the means of square blocks, on two grids, the second half a block further.

    Two grids of 2 x 2 blocks have half as many columns as an image has pixels, and together show nearly as
    much. The blocks are the largest that leave `side` of them along each side. What lies outside is 0.

    Args:
        image_shape: (height, width) of the images.
        side: Least number of blocks along the shorter side; smaller images than twice that stay as they are.
    """

    def __init__(self, image_shape: tuple[int, int] | None = None, side: int = 14) -> None:
        self.image_shape = image_shape
        self.side = side

    def _lay_out(self, height: int, width: int) -> None:
        if self.side < 1:
            raise ValueError(f"side is {self.side}; expected at least 1")
        self.block_ = max(1, min(height, width) // self.side)
        self._n_features_out = self._transformed(np.zeros((1, height, width))).shape[1]

    def _transformed(self, images: Images) -> Rows:
        half = self.block_ // 2
        grids = [images, images[:, half:, half:]] if half else [images]
        return np.concatenate([self._means(grid) for grid in grids], axis=1)

    def _means(self, images: Images) -> Rows:
        count, height, width = images.shape
        block = self.block_
        framed = np.pad(images, [(0, 0), (0, -height % block), (0, -width % block)])
        blocks = framed.reshape(count, framed.shape[1] // block, block, -1, block)
        return np.asarray(blocks.mean(axis=(2, 4)).reshape(count, -1))


class MomentNormalizer(OneToOneFeatureMixin, _ImageTransformer):  # type: ignore[misc]
    """Deskews and centres each image, and scales it towards a common size, by its moments.

    The shear makes the covariance of rows and columns zero, as the deskewed sets of Y. LeCun et al.,
    "Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998), do; the size is
    that of the second moments, as in the moment normalisation of C.-L. Liu et al., "Handwritten digit
    recognition: investigation of normalization and feature extraction techniques", Pattern Recognition 37
    (2004). Pixels are interpolated linearly along each axis; what lies outside an image is 0, and an image
    without ink stays empty.

    Args:
        image_shape: (height, width) of the images.
        scaling: How much of the difference in size is removed: 0 keeps each image's size, 1 makes all equal.
        spread: The standard deviation (down, across) of an image's ink after full scaling, as shares of its
            height and width.
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

    def _transformed(self, images: Images) -> Rows:
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
    """Return the pixel before each position, in a row framed by zeros, and the distance beyond it."""
    position = np.clip(position + 1, 0, size + 1 - 1e-4)  # everything outside the frame is zero
    before = position.astype(np.intp)
    return before, position - before


class OrientationHistograms(ClassNamePrefixFeaturesOutMixin, _ImageTransformer):  # type: ignore[misc]
    """Histograms of the edge directions around each point of a grid.

    The gradient is split between the two nearest of `bins` directions as a sum of vectors, so that features
    change smoothly when an edge turns, and summed over overlapping windows. A row of points * bins features
    has length 1, or 0 where there is no edge. These are the direction features of C.-L. Liu et al.,
    "Handwritten digit recognition: benchmarking of state-of-the-art techniques", Pattern Recognition 36
    (2003), with their square root. They are closely related to the histograms of N. Dalal and B. Triggs,
    CVPR 2005.

    Args:
        image_shape: (height, width) of the images.
        strides: Distance between the points of each grid, pixels; each stride gives a grid with the number of
            points per side that fits best, at least one and at most one per pixel. The weight of a window
            falls to zero at the next point.
        bins: Number of directions, at equal angles around the whole circle; at least 4.
    """

    def __init__(
        self, image_shape: tuple[int, int] | None = None, strides: Sequence[float] = (4, 7), bins: int = 8
    ) -> None:
        self.image_shape = image_shape
        self.strides = strides
        self.bins = bins

    def _lay_out(self, height: int, width: int) -> None:
        if self.bins < 4 or not len(self.strides) or min(self.strides) <= 0:
            raise ValueError(
                f"bins is {self.bins} and strides is {self.strides}; "
                "expected at least 4 bins, and one or more positive strides"
            )
        grids = [np.kron(_windows(height, stride), _windows(width, stride)) for stride in self.strides]
        self.windows_ = np.concatenate(grids).T
        self._n_features_out = self.windows_.shape[1] * self.bins

    def _transformed(self, images: Images) -> Rows:
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


class PrincipalComponents(ClassNamePrefixFeaturesOutMixin, _FloatTransformer):  # type: ignore[misc]
    """The first principal components, scaled so that a kernel's width means the same for any data.

    They are divided by one number that makes the mean squared distance of two rows 2: an RBF kernel's gamma
    of 1 is then what scikit-learn's SVC calls "scale".

    Args:
        count: Number of components; fewer if there are fewer rows or columns.
        seed: For the randomised solver, which scikit-learn's PCA uses for some shapes.
    """

    def __init__(self, count: int = 64, seed: int | None = None) -> None:
        self.count = count
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Find the components of X, float, shape (n, d)."""
        X = validate_data(self, X, dtype=[np.float32, np.float64], ensure_min_samples=2)
        if self.count < 1:
            raise ValueError(f"count is {self.count}; expected at least 1")
        with np.errstate(invalid="ignore"):  # PCA divides by the variance, which may be 0
            self.pca_ = PCA(min(self.count, *X.shape), random_state=self.seed).fit(X)
        kept = float(self.pca_.explained_variance_.sum())
        self.scale_ = kept**-0.5 if kept > 0 else 1.0
        self._n_features_out = self.pca_.n_components_
        return self

    def transform(self, X: Any) -> Rows:
        """Return the components, in the type of X, shape (n, min(count, rows and columns in `fit`))."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        components = self.pca_.transform(X)
        components *= components.dtype.type(self.scale_)
        return np.asarray(components)


def components_and_discriminants(count: int, seed: int | None) -> FeatureUnion:
    """Return axes for trees to split on: `count` principal components and the linear discriminants."""
    return make_union(PrincipalComponents(count, seed=seed), LinearDiscriminantAnalysis())


class AugmentedPipeline(Pipeline):  # type: ignore[misc]
    """A pipeline that is fitted to the training images and distorted copies, and predicts undistorted ones.

    Args:
        steps: (name, estimator) of each step, as for scikit-learn's Pipeline; the last is a classifier.
        image_shape: (height, width) of the images in the rows of X.
        distort: Returns distorted images, given images, shape (n, height, width), and a NumPy generator.
        copies: Number of distorted copies of each training image.
        seed: Seed of the distortions. None draws one.
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
        """Fit the steps to images X, float, (n, height * width), their labels y, (n,), and the copies."""
        if self.copies < 0:
            raise ValueError(f"copies is {self.copies}; expected 0 or more")
        if self.copies == 0:  # a single array of the images is enough
            return super().fit(X, y, **parameters)  # type: ignore[no-any-return]
        generator = np.random.default_rng(self.seed)
        images = X.reshape(-1, *self.image_shape)
        repeated = np.empty((self.copies + 1, *X.shape), dtype=X.dtype)
        repeated[0] = X
        for copy in repeated[1:]:
            copy[:] = self.distort(images, generator).reshape(X.shape)
        super().fit(repeated.reshape(-1, X.shape[1]), np.tile(y, self.copies + 1), **parameters)
        return self


def edge_pipeline(
    image_shape: tuple[int, int], scaling: float, *steps: Any, copies: int = 0, seed: int | None = None
) -> AugmentedPipeline:
    """Return a record recipe: deskew each digit, describe it by its edge directions, then take the steps.

    Args:
        image_shape: (height, width) of the images.
        scaling: See `MomentNormalizer`.
        *steps: Transformers, and last a classifier.
        copies: Number of copies of each training image, slightly warped, which hardly changes its directions.
        seed: Seed of the copies. None draws one.
    """
    side = min(image_shape)
    whole = make_pipeline(
        MomentNormalizer(image_shape, scaling=scaling),
        OrientationHistograms(image_shape, strides=(side / 7, side / 4)),
        *steps,
    )
    warp = RandomWarp(rotation=5, scale=0.1, shear=0.1, elastic=side / 40, images_per_warp=16)
    return AugmentedPipeline(whole.steps, image_shape, warp, copies=copies, seed=seed)
