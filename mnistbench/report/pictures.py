"""Small pictures of the images that models get wrong, kept in the run folder beside its report.

Kept pictures that are damaged are a MnistbenchError; pictures that cannot be kept are an OSError.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistbench.datasets.arrays import Images
from mnistbench.datasets.cache import cached_arrays
from mnistbench.datasets.splits import split
from mnistbench.errors import MnistbenchError
from mnistbench.report.gallery import Gallery, wanted
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo

_NAME = "images.npz"
_PIXEL_BUDGET = 1_200_000  # in all: keeps a page of incompressible images below 2 MB
_SIDE = 56  # pixels; larger images are made smaller by a whole factor
_SHEET_COLUMNS = 40
_DARK = 64  # of 255: a sheet whose median pixel is below this shows light ink on a dark ground


@dataclass(frozen=True)
class Pictures:
    """Small pictures of some images."""

    index: tuple[int, ...]  # which images, by their index among those that the run is evaluated on
    pixels: Images  # uint8 (len(index), height, width)

    @property
    def is_dark(self) -> bool:
        """Whether they show light ink on a dark ground, as MNIST does."""
        return bool(self.pixels.size) and float(np.median(self.pixels)) < _DARK

    def sheet(self) -> tuple[bytes, int]:
        """Put them side by side into one PNG file; return it, and how many there are in a row."""
        count, height, width = self.pixels.shape
        columns = min(_SHEET_COLUMNS, max(count, 1))
        rows = -(-max(count, 1) // columns)
        padded = np.zeros((rows * columns, height, width), np.uint8)
        padded[:count] = self.pixels
        sheet = padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, -1)
        written = io.BytesIO()
        Image.fromarray(sheet).save(written, "PNG", optimize=True)
        return written.getvalue(), columns


def pictures(folder: RunFolder, info: RunInfo, shown: Gallery, cache: Path) -> Pictures | None:
    """Return pictures of the images that the gallery wants, as many as a page can hold.

    They come from the cached data set and are kept in the run folder, so that the report can be made again,
    the same, where the data set is not; nothing is ever fetched. None where neither has them.
    """
    images = evaluation_images(info, cache)
    if images is None or len(images) != shown.image_count:
        return kept_pictures(folder, _NAME).get("")
    made = shrunk(images, wanted(shown))
    keep_pictures(folder, _NAME, {"": made})
    return made


def altered_pictures(folder: RunFolder, info: RunInfo, cache: Path) -> int:
    """Count the kept pictures that are not what the cached data set gives; 0 where either is not there."""
    kept, images = kept_pictures(folder, _NAME).get(""), evaluation_images(info, cache)
    if kept is None or images is None:
        return 0
    if any(not 0 <= image < len(images) for image in kept.index):
        return len(kept.index)
    again = shrunk(images, kept.index)
    if again.pixels.shape != kept.pixels.shape:
        return len(kept.index)
    return int((again.pixels != kept.pixels).any(axis=(1, 2)).sum())


def evaluation_images(info: RunInfo, cache: Path) -> Images | None:
    """Open the images that a run is evaluated on, uint8 (n, h, w), if the cache has its data set."""
    arrays = cached_arrays(cache, info.dataset)
    if arrays is None or not info.trials:
        return None
    return np.asarray(split(arrays, info.split, None, 0, info.holdout).x_eval)


def shrunk(images: Images, chosen: Sequence[int]) -> Pictures:
    """Return small pictures of the chosen images, as many as a page can hold."""
    height, width = images.shape[1:]
    factor = -(-max(height, width) // _SIDE)
    rows, columns = height // factor or 1, width // factor or 1
    index = tuple(chosen[: _PIXEL_BUDGET // (rows * columns)])
    cut = images[list(index), : rows * factor, : columns * factor]
    if factor > 1:
        blocks = cut.reshape(len(index), rows, min(factor, height), columns, min(factor, width))
        cut = blocks.mean(axis=(2, 4)).round().astype(np.uint8)
    return Pictures(index, cut)


def keep_pictures(folder: RunFolder, name: str, made: Mapping[str, Pictures]) -> None:
    """Write named pictures, or those with an empty name, into a file of the run folder."""
    written = io.BytesIO()
    arrays: dict[str, NDArray[Any]] = {}
    for prefix, found in ((f"{key}/" if key else "", found) for key, found in made.items()):
        arrays |= {f"{prefix}index": np.array(found.index, np.int64), f"{prefix}pixels": found.pixels}
    np.savez_compressed(written, **arrays)  # type: ignore[arg-type] # numpy's stub reads ** as its flag
    folder.write(name, written.getvalue())


def kept_pictures(folder: RunFolder, name: str) -> dict[str, Pictures]:
    """Return what `keep_pictures` has written, by name; nothing without the file."""
    path, kept = folder.path / name, {}
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for prefix in {key.removesuffix("index").removesuffix("pixels") for key in arrays}:
                index, pixels = arrays[f"{prefix}index"], arrays[f"{prefix}pixels"]
                if (index.dtype, index.ndim, pixels.dtype, pixels.ndim) != (np.int64, 1, np.uint8, 3):
                    raise ValueError(
                        f"its arrays are {index.dtype}, {index.shape} and {pixels.dtype}, {pixels.shape}"
                    )
                if len(index) != len(pixels):
                    raise ValueError(f"it has {len(pixels)} pictures for {len(index)} images")
                kept[prefix.removesuffix("/")] = Pictures(tuple(index.tolist()), pixels)
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for damaged bytes
        raise MnistbenchError(
            f"{path} cannot be read: {error}. Delete it; the report then shows none of these images, "
            "unless the data set is in the cache."
        ) from error
    return kept
