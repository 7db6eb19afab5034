"""The cache of decoded arrays: written atomically, memory-mapped by the trials, trusted only after a check.

A data set's folder holds x_train.npy, y_train.npy, x_test.npy, y_test.npy, source.txt and, where the groups
of its images are known, groups.npy. The arrays never change: every writer writes the same bytes, each file
under a temporary name that is then moved into place. So processes that write at the same time need no lock, a
killed one leaves no damage, and the maps of readers stay valid. Arrays that are missing, unreadable or
malformed are a DataError, as is a cache that cannot be written or returns other bytes.
"""

import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import ARRAY_NAMES, Arrays, DatasetInfo
from mnistbench.errors import DataError

_LOG = logging.getLogger(__name__)

_CACHE_VARIABLE = "MNISTBENCH_CACHE"

# A temporary file this old belongs to a process that was killed.
_STALE_SECONDS = 24 * 3600


def cache_folder(override: Path | None = None) -> Path:
    """Return the folder for cached data: `override`, else $MNISTBENCH_CACHE, else the user's cache folder."""
    if override is not None:
        return override.expanduser().absolute()
    from_environment = os.environ.get(_CACHE_VARIABLE)
    if from_environment:
        return Path(from_environment).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("mnistbench", appauthor=False)


def open_arrays(arrays_folder: str | Path) -> Arrays:
    """Memory-map a data set's cached arrays, read-only; only `verified_arrays` checks the digest."""
    folder = Path(arrays_folder)
    x_train, y_train, x_test, y_test = (open_array(folder / f"{name}.npy") for name in ARRAY_NAMES)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if x.dtype != np.uint8 or x.ndim != 3 or y.dtype != np.int64 or y.shape != x.shape[:1]:
            raise DataError(f"The cached arrays in {folder} do not fit together: they are damaged. {_REPAIR}")
    groups = open_array(folder / GROUPS_FILE) if (folder / GROUPS_FILE).exists() else None
    if groups is not None and (groups.dtype != np.int64 or groups.shape != (len(x_train) + len(x_test), 2)):
        raise DataError(f"The cached groups in {folder} do not fit the images: they are damaged. {_REPAIR}")
    return Arrays(x_train, y_train, x_test, y_test, groups=groups)


GROUPS_FILE = "groups.npy"
_REPAIR = "Fetch the data set again, or start a run on it, to replace them."


def open_array(path: Path) -> NDArray[Any]:
    """Memory-map one cached array, read-only."""
    try:
        # Unlike numpy.load, this never unpickles and accepts no other format.
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise DataError(f"The cached array {path} is missing. {_REPAIR}") from error
    except PermissionError as error:
        raise DataError(
            f"The cached array {path} cannot be read: {error.strerror}. Ask its owner to make it readable, "
            f"or use another cache with --cache-dir or ${_CACHE_VARIABLE}."
        ) from error
    except Exception as error:  # the .npy header parser raises many kinds for damaged bytes
        raise DataError(f"The cached array {path} is damaged ({error}). {_REPAIR}") from error


def verified_arrays(folder: Path, sha256: str, groups_sha256: str | None = None) -> Arrays | None:
    """Return the cached arrays if they are complete and their digest is `sha256`, else None.

    Their groups must have the digest `groups_sha256`; if it is None, groups do not matter. Damage is logged
    as a warning, so that a repair does not hide it.

    Raises:
        DataError: The arrays exist but permissions forbid reading them.
    """
    try:
        arrays = open_arrays(folder)
    except DataError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        if any((folder / f"{name}.npy").exists() for name in ARRAY_NAMES):
            _LOG.warning("%s", error)
        return None
    if arrays.sha256() != sha256:
        _LOG.warning("The cached arrays in %s are damaged: their SHA-256 is not %s.", folder, sha256)
        return None
    if groups_sha256 not in (None, arrays.groups_sha256()):
        if arrays.groups is not None:
            _LOG.warning(
                "The cached groups in %s are damaged: their SHA-256 is not %s.", folder, groups_sha256
            )
        return None
    return arrays


def cached_arrays(cache: Path, dataset: DatasetInfo) -> Arrays | None:
    """Return the arrays of an earlier run's data set if the cache still has them, verified; else None."""
    for name in (dataset.name, own_folder_name(dataset.name, dataset.sha256, dataset.groups_sha256)):
        try:
            arrays = verified_arrays(cache / name, dataset.sha256, dataset.groups_sha256)
        except DataError:
            continue
        if arrays is not None:
            return arrays
    return None


def own_folder_name(name: str, sha256: str, groups_sha256: str | None) -> str:
    """Return the name of the folder for a user's own data: equal data share one, whatever their file."""
    return f"{name}-{sha256[:16]}" if groups_sha256 is None else f"{name}-{sha256[:16]}-{groups_sha256[:16]}"


def source_of(folder: Path) -> str:
    """Return the note on where cached arrays came from."""
    try:
        note = (folder / "source.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "the cache (original source unknown)"
    return "".join(character for character in note if character.isprintable())[:500]


def store(arrays: Arrays, folder: Path, source: str) -> Arrays:
    """Write a data set's arrays into the cache and return them as read back, verified."""
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        written = {f"{name}.npy": getattr(arrays, name) for name in ARRAY_NAMES}
        if arrays.groups is not None:  # first, so that what is complete has them
            written = {GROUPS_FILE: np.ascontiguousarray(arrays.groups)} | written
        for name, array in written.items():
            with _replacing(folder / name) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
        with _replacing(folder / "source.txt") as file:
            file.write(source.encode())
        sync_folder(folder)
    return _read_back(folder, arrays)


def store_groups(arrays: Arrays, folder: Path) -> Arrays:
    """Add the groups to a data set whose images are in the cache, and return all as read back."""
    with _explained(folder), _replacing(folder / GROUPS_FILE) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(arrays.groups), allow_pickle=False)
    return _read_back(folder, arrays)


def _read_back(folder: Path, arrays: Arrays) -> Arrays:
    stored = verified_arrays(folder, arrays.sha256(), arrays.groups_sha256())
    if stored is None:
        raise DataError(f"The cache {folder} does not return what was written to it; check the disk.")
    return stored


def store_array(array: NDArray[Any], path: Path) -> None:
    """Write one array into the cache, whose folder is made."""
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        with _replacing(path) as file:
            np.lib.format.write_array(file, array, allow_pickle=False)
        sync_folder(path.parent)


def write_note(path: Path, text: str) -> None:
    """Write a small file of text into the cache."""
    with _explained(path.parent), _replacing(path) as file:
        file.write(text.encode())


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder for downloads inside a data set's cache folder, and remove it at the end."""
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def move_files(names: Iterable[str], start: Path, end: Path) -> None:
    """Move files from one folder of the cache to another; those that are not there are left out."""
    with _explained(end):
        end.mkdir(exist_ok=True)
        for name in names:
            with suppress(FileNotFoundError):
                (start / name).replace(end / name)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file, which replaces `path` once it is complete and on the disk."""
    # Not tempfile: its files are private to their owner, and a cache may be shared by several users.
    temporary = path.with_name(f".staging-{path.name}-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power failure, where the system can."""
    with suppress(OSError):  # Windows and some network disks cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove the temporary files of killed processes."""
    for path in folder.glob(".staging-*"):
        try:
            if time.time() - path.lstat().st_mtime < _STALE_SECONDS:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:  # another process removed it, or another user owns it
            _LOG.debug("Left %s in the cache: %s", path, error)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The cache {folder} cannot be written: {error.strerror or error}. "
            f"Free space, fix the permissions, or use another folder with --cache-dir or ${_CACHE_VARIABLE}."
        ) from error
