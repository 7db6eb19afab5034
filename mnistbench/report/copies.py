"""Pictures of corrupted copies: those that a model gets wrong, though it gets the images themselves right."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.analysis.robustness import Worst
from mnistbench.datasets.corruptions import corrupted
from mnistbench.errors import MnistbenchError
from mnistbench.report.gallery import Pictures, evaluation_images, shrunk
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo

KEPT_NAME = "copies.npz"


def pictures_of_copies(
    folder: RunFolder, info: RunInfo, worst: Sequence[Worst], cache: Path
) -> dict[str, Pictures]:
    """Return pictures of the copies that each configuration's hardest kind of corruption shows, by kind.

    They are made from the cached data set and kept in the run folder, so that the report can be made again
    where the data set is not. Empty where neither has them.

    Raises:
        MnistbenchError: The kept pictures are damaged.
        OSError: They cannot be kept.
    """
    images = evaluation_images(info, cache)
    if images is None or any(len(images) <= image for each in worst for image in each.images):
        return _kept(folder)
    made = {
        condition.name: shrunk(
            corrupted(images, condition),
            sorted({image for each in worst if each.condition == condition for image in each.images}),
        )
        for condition in sorted({each.condition for each in worst})
    }
    written = io.BytesIO()
    arrays: dict[str, NDArray[Any]] = {
        f"{name}/index": np.array(found.index, np.int64) for name, found in made.items()
    }
    arrays |= {f"{name}/pixels": found.pixels for name, found in made.items()}
    np.savez_compressed(written, **arrays)  # type: ignore[arg-type] # numpy's stub reads ** as its flag
    folder.write(KEPT_NAME, written.getvalue())
    return made


def _kept(folder: RunFolder) -> dict[str, Pictures]:
    path = folder.path / KEPT_NAME
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [key.removesuffix("/index") for key in arrays if key.endswith("/index")]
            kept = {
                name: Pictures(tuple(arrays[f"{name}/index"].tolist()), arrays[f"{name}/pixels"])
                for name in names
            }
        if any(
            p.pixels.ndim != 3 or p.pixels.dtype != np.uint8 or len(p.index) != len(p.pixels)
            for p in kept.values()
        ):
            raise ValueError("its arrays are not pictures")
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for damaged bytes
        raise MnistbenchError(
            f"{path} cannot be read: {error}. Delete it; the report then shows no corrupted images, "
            "unless the data set is in the cache."
        ) from error
    return kept
