"""A user's own data: four IDX files in a folder, or one .npz file."""

import re
from pathlib import Path

import numpy as np

from mnistbench.datasets import cache as array_cache
from mnistbench.datasets.arrays import Arrays, DatasetInfo, assemble
from mnistbench.datasets.idx import read_idx
from mnistbench.datasets.npz import read_npz
from mnistbench.errors import DataError

# The official names; "train-images.idx3-ubyte" is what some archive programs make of them.
_FILE_NAME = re.compile(
    r"(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-[a-z0-9]+(?P<gzip>\.gz)?"
)


def read_folder(folder: Path) -> Arrays:
    """Read and check a data set of four IDX files, plain or gzip-compressed.

    Args:
        folder: Holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two with t10k- or test- in
            front, each with or without .gz. Labels may be of any of the format's integer types.

    Raises:
        DataError: A file is missing, damaged, or they do not fit together.
    """
    files = _find_files(folder)
    return assemble(
        str(folder),
        x_train=read_idx(files["train", "images"], dimensions=3),
        y_train=read_idx(files["train", "labels"], dimensions=1),
        x_test=read_idx(files["test", "images"], dimensions=3),
        y_test=read_idx(files["test", "labels"], dimensions=1),
    )


def read_user_data(path: Path) -> Arrays:
    """Read and check a folder of IDX files or a .npz file.

    Raises:
        DataError: There is no usable data set.
    """
    if path.is_dir():
        return read_folder(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such folder or file.")
    return read_npz(path)


def cached_user_data(arrays: Arrays, path: Path, cache: Path, reserved_names: frozenset[str]) -> DatasetInfo:
    """Put a user's arrays into the cache under their digest, unless they are intact there, and describe them.

    Args:
        arrays: What `read_user_data` found.
        path: The folder or file it was found in.
        cache: The cache folder.
        reserved_names: Names that only the built-in data sets may have.

    Raises:
        DataError: The cache cannot be written.
    """
    sha256 = arrays.sha256()
    name = _plain_name(path.resolve().stem if path.is_file() else path.resolve().name)
    if name.casefold() in reserved_names:
        name = f"{name}-{sha256[:8]}"
    folder = cache / f"{name}-{sha256[:16]}"
    if array_cache.verified_arrays(folder, sha256) is None:
        array_cache.store(arrays, folder, describe_path(path))
    height, width = arrays.x_train.shape[1:]
    return DatasetInfo(
        name=name,
        title=name,
        source=describe_path(path),
        licence="not stated",
        sha256=sha256,
        image_shape=(height, width),
        classes=tuple(np.unique(arrays.y_train).tolist()),
        train_count=len(arrays.x_train),
        test_count=len(arrays.x_test),
        arrays_folder=str(folder),
    )


def describe_path(path: Path) -> str:
    """Where data came from, without the folders above it: those are private, and reports are passed on."""
    path = path.resolve()
    return f"{'file' if path.is_file() else 'folder'} {path.name}"


def _plain_name(name: str) -> str:
    """A name that is safe as a folder's name and in a report: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-_")[:64] or "dataset"


def _find_files(folder: Path) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], list[Path]] = {
        (split, kind): [] for split in ("train", "test") for kind in ("images", "labels")
    }
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}.") from error
    for path in paths:
        match = _FILE_NAME.fullmatch(path.name)
        if match and path.is_file():
            found["train" if match["split"] == "train" else "test", match["kind"]].append(path)
    chosen = {}
    for (split, kind), candidates in found.items():
        if not candidates:
            prefix = split if split == "train" else "t10k- or test"
            raise DataError(
                f"{folder}: the {split} {kind} are missing; expected a file {prefix}-{kind}-"
                f"idx{3 if kind == 'images' else 1}-ubyte, with or without .gz."
            )
        # Of a file and its compressed copy, the compressed one: it carries a check sum.
        compressed = [path for path in candidates if path.suffix == ".gz"]
        preferred = compressed or candidates
        if len(preferred) > 1:
            names = " and ".join(path.name for path in preferred)
            raise DataError(f"{folder}: {names} could both be the {split} {kind}; keep one of them there.")
        chosen[split, kind] = preferred[0]
    return chosen
