"""More training images than a data set has: small deformations of its own, in the manner of infinite MNIST.

G. Loosli, S. Canu and L. Bottou, "Training invariant support vector machines using selective sampling", in
"Large-Scale Kernel Machines", MIT Press 2007, extend MNIST to 8.1 million images. As there, each pass over
the training images deforms every one of them differently: it is shifted, mapped linearly (a little rotation,
scaling and shear) and deformed elastically. The code, the elastic part and the numbers are our own, so the
images are in the manner of infinite MNIST and are not its files. The elastic displacement is a cubic B-spline
of random control points: D. Rueckert et al., "Nonrigid registration using free-form deformations", IEEE
Transactions on Medical Imaging 18 (1999).

The deformations suit handwritten characters, whose class they leave alone. For other images, whoever asks
for them judges whether they do.

An image depends on its number and the training images alone. Its random numbers are those of NumPy's
`RandomState`, a frozen stream (NEP 19), and what is computed from them are sums and products of whole
numbers, exact in any order: every machine makes the same bytes. They are made in blocks, each one a file
named after its SHA-256.
"""

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets import cache
from mnistbench.datasets.arrays import Arrays, DatasetInfo, Extension, Images, Labels
from mnistbench.datasets.holdout import held_out_mask
from mnistbench.errors import DataError
from mnistbench.text import megabytes

BLOCK = 10_000
"""Images in a block."""
MOST_IMAGES = 8_100_000
"""The largest training size, that of infinite MNIST."""
RECIPE = 1
"""The version of the deformations; another one makes other trials."""

# Largest displacements, in pixels of an image 28 pixels wide.
_SIDE = 28
_SHIFT = 1.0
_LINEAR = 0.1  # per pixel from the centre
_ELASTIC = 1.8  # of a control point; the displacement of a pixel has a standard deviation of half a pixel
_CONTROL_POINTS = 7  # along each axis, which make four intervals

# Fixed-point numbers: a draw is from -256 to 256, a displacement in units of 1/4096 pixel for a draw of 1,
# and a position in units of 1/256 pixel.
_DRAW_BITS, _DISPLACEMENT_BITS, _POSITION_BITS = 8, 12, 8
_DEFORMED_AT_ONCE = 1_000  # images


def extended(
    dataset: DatasetInfo, wanted: Extension | None, announce: Callable[[str], None] | None = None
) -> DatasetInfo:
    """Return the data set with an extension whose blocks are in the cache, verified, or made now.

    Blocks that are in the cache already are kept, so a larger extension only adds to a smaller one.

    The digest of the wanted extension is empty where it is not known yet. `announce` is called with a
    sentence before images are made.

    Raises:
        DataError: The cache cannot be written, or lacks the space, or the images differ from those wanted.
    """
    if wanted is None:
        return replace(dataset, extension=None)
    arrays = cache.open_arrays(dataset.arrays_folder)
    sources = _sources(arrays, wanted.holdout)
    folder = extension_folder(replace(dataset, extension=wanted))
    numbers = range(math.ceil(wanted.count / BLOCK))
    digests = {number: _verified_digest(path) for number, path in _files(folder).items() if number in numbers}
    missing = [number for number in numbers if digests.get(number) is None]
    if missing:
        size = len(missing) * BLOCK * math.prod(dataset.image_shape)
        _check_space(folder, size, f"{wanted.count:,} synthetic images of {dataset.title}")
        if announce is not None:
            announce(
                f"Making {len(missing) * BLOCK:,} synthetic images of {dataset.title}, {megabytes(size)} MB, "
                f"in {folder}; later runs find them there."
            )
    for number in missing:
        images = synthetic_block(arrays.x_train, sources, number)
        digests[number] = hashlib.sha256(images.data).hexdigest()
        cache.store_array(images, folder / f"{number:05d}-{digests[number]}.npy")
    digest = hashlib.sha256("".join(str(digests[number]) for number in numbers).encode("ascii")).hexdigest()
    if wanted.sha256 not in ("", digest):
        raise DataError(f"The synthetic images of {dataset.title} differ here from those of the run.")
    return replace(dataset, extension=replace(wanted, sha256=digest))


def extension_folder(dataset: DatasetInfo) -> Path:
    """Return the folder of the blocks of a data set that has an extension."""
    name = f"synthetic-{RECIPE}-{dataset.sha256[:16]}"
    if dataset.extension is not None and dataset.extension.holdout is not None:
        name += f"-without-{dataset.extension.holdout}"
    return Path(dataset.arrays_folder) / name


def open_blocks(folder: Path, arrays: Arrays, count: int, holdout: str | None) -> list[tuple[Images, Labels]]:
    """Memory-map the first `count` synthetic images and return them with their labels, block by block.

    Raises:
        DataError: A block is missing or damaged; only `extended` checks the digests.
    """
    sources, files = _sources(arrays, holdout), _files(folder)
    blocks = []
    for number in range(math.ceil(count / BLOCK)):
        size = min(BLOCK, count - number * BLOCK)
        images = cache.open_array(files.get(number, folder / f"{number:05d}.npy"))
        if images.shape != (BLOCK, *arrays.x_train.shape[1:]) or images.dtype != np.uint8:
            raise DataError(
                f"The synthetic images {files[number]} do not fit the data set: remove that file."
            )
        blocks.append((images[:size], arrays.y_train[_originals(sources, number)[:size]]))
    return blocks


def synthetic_block(images: Images, sources: NDArray[np.int64], number: int) -> Images:
    """Return a block of synthetic images, uint8, shape (BLOCK, height, width).

    `sources` says which training images are deformed, in the order of each pass; blocks count from 0.
    """
    shape = images.shape[1:]
    basis = _displacements(*shape)
    random = np.random.RandomState([RECIPE, number])
    most = 1 << _DRAW_BITS
    draws = random.randint(-most, most + 1, (BLOCK, 2, len(basis)), dtype=np.int32)
    originals = _originals(sources, number)
    block = np.empty((BLOCK, *shape), np.uint8)
    for start in range(0, BLOCK, _DEFORMED_AT_ONCE):
        some = slice(start, start + _DEFORMED_AT_ONCE)
        block[some] = _deformed(images[originals[some]], draws[some], basis)
    return block


def _sources(arrays: Arrays, holdout: str | None) -> NDArray[np.int64]:
    """Return the numbers of the training images to deform, in a random order, the same for every pass.

    A part of a pass then has about the classes of the whole, however the data set is sorted.
    """
    kept = np.arange(len(arrays.y_train))
    if holdout is not None:
        kept = kept[~held_out_mask(arrays, holdout)]
    return np.random.RandomState(0).permutation(kept)


def _originals(sources: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return which training image each image of a block is a deformation of, shape (BLOCK,)."""
    return sources[(number * BLOCK + np.arange(BLOCK)) % len(sources)]


def _displacements(height: int, width: int) -> NDArray[np.float64]:
    """Return how far each draw displaces each pixel, whole numbers, shape (draws, height * width).

    The draws are those of a shift, of the two coefficients of a linear map, and of the control points.
    """
    rows, columns = np.indices((height, width)) - (np.array([height, width])[:, None, None] - 1) / 2
    down, across = _splines(height), _splines(width)
    elastic = down[:, None, :, None] * across[None, :, None, :]
    parts = [
        _SHIFT * np.ones((1, height, width)),
        _LINEAR * _SIDE / min(height, width) * np.stack([rows, columns]),
        _ELASTIC * elastic.reshape(-1, height, width),
    ]
    unit = (1 << _DISPLACEMENT_BITS) * min(height, width) / _SIDE
    return np.rint(np.concatenate(parts) * unit).reshape(-1, height * width)


def _splines(length: int) -> NDArray[np.float64]:
    """Return the cubic B-spline of each control point along an axis, shape (control points, length)."""
    intervals = _CONTROL_POINTS - 3
    places = (np.arange(length) + 0.5) * intervals / length
    first = np.floor(places).astype(int)
    t = places - first
    pieces = [
        (1 - t) * (1 - t) * (1 - t),
        3 * t * t * t - 6 * t * t + 4,
        -3 * t * t * t + 3 * t * t + 3 * t + 1,
        t * t * t,
    ]
    splines = np.zeros((_CONTROL_POINTS, length))
    for offset, piece in enumerate(pieces):
        splines[first + offset, np.arange(length)] = piece / 6
    return splines


def _deformed(images: Images, draws: NDArray[np.int32], basis: NDArray[np.float64]) -> Images:
    """Return deformed images by bilinear interpolation; beyond the border, its pixels are repeated."""
    count, height, width = images.shape
    # Sums of whole numbers below 2**53, which floating-point numbers hold exactly.
    offsets = (draws.astype(np.float64) @ basis).astype(np.int64)
    offsets >>= _DRAW_BITS + _DISPLACEMENT_BITS - _POSITION_BITS
    grid = np.indices((height, width)).reshape(2, -1) << _POSITION_BITS
    one = 1 << _POSITION_BITS
    row, column = (
        np.clip(grid[axis] + offsets[:, axis], 0, (length - 1) * one).astype(np.int32)
        for axis, length in enumerate((height, width))
    )
    padded = np.pad(images, [(0, 0), (0, 1), (0, 1)], mode="edge").ravel()
    first = np.arange(count, dtype=np.int32)[:, None] * ((height + 1) * (width + 1))
    corner = first + (row >> _POSITION_BITS) * (width + 1) + (column >> _POSITION_BITS)
    down, right = row & (one - 1), column & (one - 1)
    pixels = np.full(row.shape, one * one // 2, np.int32)  # rounds half up
    for step, weight in (
        (0, (one - down) * (one - right)),
        (1, (one - down) * right),
        (width + 1, down * (one - right)),
        (width + 2, down * right),
    ):
        pixels += weight * padded[corner + step]
    return (pixels >> 2 * _POSITION_BITS).astype(np.uint8).reshape(images.shape)


def _files(folder: Path) -> dict[int, Path]:
    """Return the files of the blocks by number."""
    return {int(path.name[:5]): path for path in sorted(folder.glob("[0-9]*-*.npy"), reverse=True)}


def _verified_digest(path: Path) -> str | None:
    """Return the SHA-256 of a block if it is that in the file's name, else None."""
    try:
        digest = hashlib.sha256(np.ascontiguousarray(cache.open_array(path)).data).hexdigest()
    except DataError:
        return None
    return digest if path.stem.endswith(digest) else None


def _check_space(folder: Path, size: int, what: str) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise DataError(
            f"{what} need {megabytes(size)} MB more in {folder}, which has {megabytes(free)} MB free. Free "
            "space there, use another folder with --cache-dir, or ask for a smaller --train-size."
        )
