"""A user's own data: four IDX files in a folder, or one .npz file."""

import codecs
import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets import cache as array_cache
from mnistbench.datasets.arrays import ARRAY_NAMES, Arrays, DatasetInfo, Reading, assemble
from mnistbench.datasets.holdout import choose_holdout
from mnistbench.datasets.idx import is_idx, read_idx
from mnistbench.datasets.npz import read_npz
from mnistbench.errors import DataError

_AS_IT_IS = Reading()
# The official names; "train-images.idx3-ubyte" is what some archive programs make of them. Data sets made
# after MNIST put their own name in front, and QMNIST's labels are a table of integers, idx2.
_FILE_NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<split>train|t10k|test)-(?P<kind>images|labels)"
    r"[-.]idx(?P<dimensions>[123])-[a-z0-9]+(?P<gzip>\.gz)?"
)
_PARTS = [(split, kind) for split in ("train", "test") for kind in ("images", "labels")]
_TAKEN = (
    "expected a folder of four IDX files, as MNIST comes, or a .npz file with the arrays "
    f"{', '.join(ARRAY_NAMES)}, as `numpy.savez` writes it"
)
_SIGNATURES = {
    b"\x93NUMPY": "a single array (.npy)",
    b"\x89HDF": "an HDF5 file",
    b"MATLAB": "a MATLAB file",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a gzip-compressed file",
    **{bytes([0x80, protocol]): "a pickle, which is never read" for protocol in range(2, 6)},
}


def read_folder(folder: Path, reading: Reading = _AS_IT_IS) -> Arrays:
    """Read and check a data set of four IDX files, plain or gzip-compressed.

    Args:
        folder: Holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two with t10k- or test- in
            place of train-, each with or without .gz, and all four with or without a data set's name in
            front. Labels may be of any of the format's integer types; of a table of labels (idx2, as QMNIST
            has them) the first column is the class.
        reading: What to make of other pixels, and of test images of unseen classes.

    Raises:
        DataError: A file is missing, damaged, or they do not fit together.
    """
    files = _find_files(folder)
    return assemble(
        str(folder),
        x_train=read_idx(files["train", "images"], dimensions=3),
        y_train=_read_labels(files["train", "labels"]),
        x_test=read_idx(files["test", "images"], dimensions=3),
        y_test=_read_labels(files["test", "labels"]),
        reading=reading,
    )


def read_user_data(path: Path, reading: Reading = _AS_IT_IS) -> Arrays:
    """Read and check a folder of IDX files or a .npz file.

    Raises:
        DataError: There is no usable data set.
    """
    if path.is_dir():
        return read_folder(path, reading)
    if not path.is_file():
        raise DataError(f"{path}: there is no such folder or file.")
    if is_idx(path):
        folder = path.absolute().parent
        raise DataError(f"{path}: is a single IDX file; a data set is a folder of four: give {folder}")
    kind = _other_format(path)
    if kind is not None:
        raise DataError(f"{path}: is {kind}; {_TAKEN}.")
    return read_npz(path, reading)


def _other_format(path: Path) -> str | None:
    """Say what a file is, if it clearly is none that can be read."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return None  # whoever reads it says why it cannot be
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    with contextlib.suppress(UnicodeDecodeError):
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # whose end may split a character
        if text and "\0" not in text:
            return "a table of text (CSV)" if re.search(r"[,;\t]", text) else "a text file"
    return None


def cached_user_data(
    arrays: Arrays, path: Path, cache: Path, reserved_names: frozenset[str], reading: Reading = _AS_IT_IS
) -> DatasetInfo:
    """Put a user's arrays into the cache under their digest, unless they are intact there, and describe them.

    Args:
        arrays: What `read_user_data` found.
        path: The folder or file it was found in.
        cache: The cache folder.
        reserved_names: Names that only the built-in data sets may have.
        reading: How it was read.

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
        title=f"{name} ({'; '.join(arrays.changes)})" if arrays.changes else name,
        source=describe_path(path),
        licence="not stated",
        sha256=sha256,
        image_shape=(height, width),
        classes=tuple(np.unique(arrays.y_train).tolist()),
        train_count=len(arrays.x_train),
        test_count=len(arrays.x_test),
        arrays_folder=str(folder),
        reading=reading,
        changes=arrays.changes,
        holdout=choose_holdout(arrays.y_train),
    )


def describe_path(path: Path) -> str:
    """Where data came from, without the folders above it: those are private, and reports are passed on."""
    path = path.resolve()
    return f"{'file' if path.is_file() else 'folder'} {path.name}"


def _plain_name(name: str) -> str:
    """A name that is safe as a folder's name and in a report: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-_")[:64] or "dataset"


def _find_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Find the four files of the one data set that a folder holds."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}.") from error
    sets: dict[str, dict[tuple[str, str], list[Path]]] = {}
    for path in paths:
        match = _FILE_NAME.fullmatch(path.name)
        if match and path.is_file():
            part = "train" if match["split"] == "train" else "test", match["kind"]
            sets.setdefault(match["set"] or "", {}).setdefault(part, []).append(path)
    if not sets:
        archives = [path.name for path in paths if path.suffix == ".npz"]
        if archives:
            raise DataError(f"{folder}: holds no IDX files, but {archives[0]}: give that file.")
    complete = [name for name, parts in sets.items() if len(parts) == len(_PARTS)]
    if len(complete) > 1:
        names = " and ".join(repr(name) if name else "one without a name" for name in complete)
        raise DataError(f"{folder}: holds several data sets: {names}; give each a folder of its own.")
    name = complete[0] if complete else max(sets, key=lambda name: len(sets[name]), default="")
    return {part: _choose_file(folder, name, part, sets.get(name, {})) for part in _PARTS}


def _choose_file(
    folder: Path, name: str, part: tuple[str, str], found: Mapping[tuple[str, str], list[Path]]
) -> Path:
    split, kind = part
    candidates = found.get(part, [])
    if not candidates:
        prefix = split if split == "train" else "t10k- or test"
        raise DataError(
            f"{folder}: the {split} {kind} are missing; expected a file {name}{'-' if name else ''}{prefix}-"
            f"{kind}-idx{3 if kind == 'images' else 1}-ubyte, with or without .gz."
        )
    # Of a file and its compressed copy, the compressed one: it carries a check sum.
    preferred = [path for path in candidates if path.suffix == ".gz"] or candidates
    if len(preferred) > 1:
        names = " and ".join(path.name for path in preferred)
        raise DataError(f"{folder}: {names} could both be the {split} {kind}; keep one of them there.")
    return preferred[0]


def _read_labels(path: Path) -> NDArray[Any]:
    match = _FILE_NAME.fullmatch(path.name)
    if match and match["dimensions"] == "2":
        return read_idx(path, dimensions=2)[:, 0]
    return read_idx(path, dimensions=1)
