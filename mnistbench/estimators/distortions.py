"""Random distortions of the training images: shifts by whole pixels, affine maps and elastic deformation."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.estimators.arrays import Images

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class RandomShift:
    """Shifts each image by whole pixels.

    An image that such a shift could cut off, because its outermost pixels are not all zero, stays as it is:
    digits with a margin move, garments that fill their frame do not.
    """

    pixels: int  # the largest shift in each direction; all shifts are equally likely

    def __call__(self, images: Images, generator: np.random.Generator) -> Images:
        """Return the images, float32, shape (n, height, width), each shifted."""
        reach = self.pixels
        moves = reach - generator.integers(0, 2 * reach + 1, (2, len(images)))
        moves[:, _fills_margin(images, reach)] = 0
        shifted = images.copy()
        for move in product(range(-reach, reach + 1), repeat=2):
            if any(move):
                chosen = np.flatnonzero((moves[0] == move[0]) & (moves[1] == move[1]))
                shifted[chosen] = np.roll(images[chosen], move, axis=(1, 2))  # only zeros go round
        return shifted


def _fills_margin(images: Images, margin: int) -> NDArray[np.bool_]:
    """Return for each image whether one of the `margin` outermost pixels on a side is not 0, shape (n,)."""
    height, width = images.shape[1:]
    sides = (
        images[:, :margin],
        images[:, height - margin :],
        images[:, :, :margin],
        images[:, :, width - margin :],
    )
    return np.asarray(np.logical_or.reduce([side.any(axis=(1, 2)) for side in sides]))


@dataclass(frozen=True)
class RandomWarp:
    """Rotates, scales, shears, shifts and elastically deforms images, by bilinear interpolation.

    The elastic part is that of P. Y. Simard, D. Steinkraus and J. C. Platt, "Best practices for convolutional
    neural networks applied to visual document analysis", ICDAR 2003: displacements drawn for each pixel and
    smoothed by a Gaussian. A warp is a sparse matrix, cheap because it is drawn once and applied to many
    images. Consecutive images get different warps.
    """

    rotation: float = 0.0  # largest rotation either way, degrees
    scale: float = 0.0  # largest relative change of the height and, independently, of the width
    shear: float = 0.0  # largest sideways displacement of a row, relative to its distance from the middle row
    shift: float = 0.0  # largest shift along each axis, pixels
    elastic: float = 0.0  # standard deviation of the elastic displacement along each axis, pixels
    smoothness: float = 4.0  # standard deviation of the Gaussian, pixels
    images_per_warp: int = 64  # number of images that share a warp

    def __call__(self, images: Images, generator: np.random.Generator) -> Images:
        """Return the images, float32, shape (n, height, width), each warped; what lies outside is zero."""
        height, width = images.shape[1:]
        warp_count = -(-len(images) // self.images_per_warp)
        sources = self._sources(warp_count, height, width, generator)
        rows = images.reshape(len(images), -1)
        warped = np.empty_like(rows)
        for index in range(warp_count):
            pixels = np.ascontiguousarray(rows[index::warp_count].T)
            warped[index::warp_count] = (_interpolation(sources[index]) @ pixels).T
        return warped.reshape(images.shape)

    def _sources(self, count: int, height: int, width: int, generator: np.random.Generator) -> NDArray[Any]:
        """Return where each pixel of a warped image comes from: (row, column), shape (count, 2, h, w)."""

        def uniform(limit: float, *shape: int) -> NDArray[Any]:
            return generator.uniform(-limit, limit, (count, *shape))

        angle = np.deg2rad(uniform(self.rotation))
        stretch = 1 + uniform(self.scale, 2)
        slant = uniform(self.shear)
        sine, cosine = np.sin(angle), np.cos(angle)
        rotations = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
        rotations[:, 1] += slant[:, None] * rotations[:, 0]
        maps = rotations * stretch[:, :, None]
        middle = np.array([(height - 1) / 2, (width - 1) / 2])[:, None]
        grid = np.indices((height, width)).reshape(2, -1) - middle
        sources = maps @ grid + middle + uniform(self.shift, 2)[:, :, None]
        sources = sources.reshape(count, 2, height, width)
        if self.elastic:
            from scipy.ndimage import (
                gaussian_filter,
            )  # here, because it is slow to load and few models need it

            noise = generator.standard_normal((count, 2, height, width))
            smooth = gaussian_filter(noise, (0, 0, self.smoothness, self.smoothness), mode="wrap")
            sources += smooth * (self.elastic / smooth.std())
        return np.asarray(sources)


def _interpolation(sources: NDArray[Any]) -> "csr_array":
    """Return the matrix that interpolates an image's pixels at `sources`, shape (2, height, width)."""
    from scipy.sparse import csr_array

    height, width = sources.shape[1:]
    corners = np.floor(sources).astype(np.int32)
    fractions = sources - corners
    columns, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            row, column = corners[0] + down, corners[1] + right
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = np.abs(1 - down - fractions[0]) * np.abs(1 - right - fractions[1])
            columns.append(np.where(inside, row * width + column, 0).ravel())
            weights.append(np.where(inside, weight, 0.0).ravel())
    size = height * width
    return csr_array(
        (
            np.stack(weights, -1).ravel().astype(np.float32),
            np.stack(columns, -1).ravel(),
            np.arange(0, 4 * size + 1, 4),
        ),
        shape=(size, size),
    )
