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
from mnistbench.datasets.arrays import ARRAY_NAMES, AS_IS, Arrays, DatasetInfo, Reading, assemble
from mnistbench.datasets.holdout import choose_holdout, held_out_count
from mnistbench.datasets.idx import is_idx, read_idx
from mnistbench.datasets.npz import read_npz
from mnistbench.errors import DataError

# The official names; some archive programs make them "train-images.idx3-ubyte". Later data sets put their own
# name in front, and QMNIST's labels are a table of integers, idx2.
_FILE_NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<split>train|t10k|test)-(?P<kind>images|labels|groups)"
    r"[-.]idx(?P<dimensions>[123])-[a-z0-9]+(?P<gzip>\.gz)?"
)
_PARTS = [(split, kind) for split in ("train", "test") for kind in ("images", "labels")]
_GROUP_PARTS = [("train", "groups"), ("test", "groups")]
_EXPECTED = (
    "expected a folder of four IDX files, like MNIST's, or a .npz file with the arrays "
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


def read_folder(folder: Path, reading: Reading = AS_IS) -> Arrays:
    """Read and check a data set of four IDX files, plain or gzip-compressed.

    Args:
        folder: Holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two with t10k- or test-
            instead of train-, each with or without .gz, and all four with or without a data set's name in
            front. Labels may be of any of the format's integer types; in a table of labels (idx2, as in
            QMNIST) the first column is the class. It may also hold train-groups-idx1-int and
            t10k-groups-idx1-int, which say which images belong together, such as those by one writer.
        reading: How to treat other ranges of pixels, and test images of unseen classes.

    Raises:
        DataError: A file is missing or damaged, or the files do not fit together.
    """
    files = _find_files(folder)
    return assemble(
        str(folder),
        x_train=read_idx(files["train", "images"], dimensions=3),
        y_train=_read_labels(files["train", "labels"]),
        x_test=read_idx(files["test", "images"], dimensions=3),
        y_test=_read_labels(files["test", "labels"]),
        groups=(
            read_idx(files["train", "groups"], dimensions=1),
            read_idx(files["test", "groups"], dimensions=1),
        )
        if ("train", "groups") in files
        else None,
        reading=reading,
    )


def read_user_data(path: Path, reading: Reading = AS_IS) -> Arrays:
    """Read and check a folder of IDX files or a .npz file; see `read_folder` and `read_npz`."""
    if path.is_dir():
        return read_folder(path, reading)
    if not path.is_file():
        raise DataError(f"{path}: there is no such folder or file.")
    if is_idx(path):
        folder = path.absolute().parent
        raise DataError(f"{path}: is a single IDX file; a data set is a folder of four: use {folder}")
    kind = _other_format(path)
    if kind is not None:
        raise DataError(f"{path}: is {kind}; {_EXPECTED}.")
    return read_npz(path, reading)


def _other_format(path: Path) -> str | None:
    """Return the kind of a file that is clearly of no supported format, else None."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return None  # reading it fails with the reason
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    with contextlib.suppress(UnicodeDecodeError):
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # the end may split a character
        if text and "\0" not in text:
            return "a table of text (CSV)" if re.search(r"[,;\t]", text) else "a text file"
    return None


def cached_user_data(
    arrays: Arrays, path: Path, cache: Path, reserved_names: frozenset[str], reading: Reading = AS_IS
) -> DatasetInfo:
    """Store a user's arrays in the cache under their digest, unless already there, and describe them."""
    sha256, groups_sha256 = arrays.sha256(), arrays.groups_sha256()
    name = _plain_name(path.resolve().stem if path.is_file() else path.resolve().name)
    if name.casefold() in reserved_names:
        name = f"{name}-{sha256[:8]}"
    folder = cache / array_cache.own_folder_name(name, sha256, groups_sha256)
    if array_cache.verified_arrays(folder, sha256, groups_sha256) is None:
        array_cache.store(arrays, folder, describe_path(path))
    height, width = arrays.x_train.shape[1:]
    holdout = choose_holdout(arrays)
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
        holdout=holdout,
        holdout_count=held_out_count(arrays, holdout),
        groups_sha256=groups_sha256,
    )


def describe_path(path: Path) -> str:
    """Return the source of data for a report, without its parent folders, which are private."""
    path = path.resolve()
    return f"{'file' if path.is_file() else 'folder'} {path.name}"


def _plain_name(name: str) -> str:
    """Return a name safe for folders and reports: letters, digits, dots, dashes and underscores only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-_")[:64] or "dataset"


def _find_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the four files of the one data set in a folder, and those of its groups if it has them."""
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
            raise DataError(f"{folder}: holds no IDX files, but it holds {archives[0]}: use that file.")
    complete = [name for name, parts in sets.items() if all(part in parts for part in _PARTS)]
    if len(complete) > 1:
        names = " and ".join(repr(name) if name else "an unnamed one" for name in complete)
        raise DataError(f"{folder}: holds several data sets: {names}; put each in its own folder.")
    name = complete[0] if complete else max(sets, key=lambda name: len(sets[name]), default="")
    found = sets.get(name, {})
    expected = _PARTS + (_GROUP_PARTS if any(part in found for part in _GROUP_PARTS) else [])
    return {part: _choose_file(folder, name, part, found) for part in expected}


def _choose_file(
    folder: Path, name: str, part: tuple[str, str], found: Mapping[tuple[str, str], list[Path]]
) -> Path:
    split, kind = part
    candidates = found.get(part, [])
    if not candidates:
        prefix = split if split == "train" else "t10k- or test"
        missing = f"{'training' if split == 'train' else split} {kind}"
        values = {"images": "idx3-ubyte", "labels": "idx1-ubyte", "groups": "idx1-int"}[kind]
        stem = f"{name}{'-' if name else ''}{prefix}-{kind}-{values}"
        raise DataError(f"{folder}: the {missing} are missing; expected a file {stem}, with or without .gz.")
    # A compressed copy is preferred, because it has a checksum.
    preferred = [path for path in candidates if path.suffix == ".gz"] or candidates
    if len(preferred) > 1:
        names = " and ".join(path.name for path in preferred)
        raise DataError(f"{folder}: {names} could both be the {split} {kind}; keep only one.")
    return preferred[0]


def _read_labels(path: Path) -> NDArray[Any]:
    match = _FILE_NAME.fullmatch(path.name)
    if match and match["dimensions"] == "2":
        return read_idx(path, dimensions=2)[:, 0]
    return read_idx(path, dimensions=1)
