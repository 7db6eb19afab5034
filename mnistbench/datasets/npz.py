"""A data set in one NumPy .npz file: x_train, y_train, x_test, y_test and optionally `classes`, groups.

This module reads the members without `numpy.load`, so that nothing is ever unpickled and a file that claims
more than it holds is refused before memory is allocated. `numpy.lib.format` defines the .npy format.
"""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mnistbench.datasets.arrays import ARRAY_NAMES, AS_IS, Arrays, Reading, assemble
from mnistbench.datasets.idx import MAX_DECODED_BYTES, plausible_bytes, read_exactly
from mnistbench.errors import DataError

_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_GROUP_NAMES = ("groups_train", "groups_test")
_LISTED = 8  # names in a message


def read_npz(path: Path, reading: Reading = AS_IS) -> Arrays:
    """Read and check a data set from a .npz file.

    Args:
        path: The file, as written by `numpy.savez` or `numpy.savez_compressed`. It holds x_train and x_test,
            (n, h, w) or (n, h, w, 1), integers from 0 to 255; y_train and y_test, (n,), any integers; and
            optionally `classes`, (k,), the labels that the data set has, and groups_train and groups_test,
            (n,), integers that say which images belong together, such as those by one writer.
        reading: How to treat other ranges of pixels, and test images of unseen classes.

    Raises:
        DataError: The file is unreadable or damaged, or holds no usable data set.
    """
    found: dict[str, Any] = read_arrays(path, ARRAY_NAMES, ("classes", *_GROUP_NAMES))
    groups = [found.pop(name) for name in _GROUP_NAMES if name in found]
    if len(groups) == 1:
        raise DataError(f"{path}: has one of {' and '.join(_GROUP_NAMES)} alone; expected both or neither.")
    classes = found.pop("classes", None)
    return assemble(
        str(path),
        **found,
        listed_classes=classes,
        groups=(groups[0], groups[1]) if groups else None,
        reading=reading,
    )


def read_arrays(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Read arrays of numbers from a .npz file, in this order.

    Optional names are left out where the file has no such array.

    Raises:
        DataError: The file is unreadable or damaged, or lacks an array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            missing = [name for name in required if f"{name}.npy" not in members]
            if missing:
                raise DataError(
                    f"{path}: has no array {', '.join(missing)}; expected {', '.join(required)}. "
                    f"{_holdings(archive.namelist())}"
                )
            wanted = [*required, *(name for name in optional if f"{name}.npy" in members)]
            return {name: _read_member(archive, name, path) for name in wanted}
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except PermissionError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    except Exception as error:  # zipfile and the .npy header parser raise many kinds for damaged bytes
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{path}: not an intact .npz file ({reason}). Download or save the file again."
        ) from error


def _holdings(members: list[str]) -> str:
    """Return a sentence on what a zip file holds instead of a data set."""
    arrays = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
    names = arrays or members
    listed = f"{', '.join(names[:_LISTED])}{', ...' if len(names) > _LISTED else ''}"
    if arrays:
        return f"It holds the arrays {listed}."
    return f"It holds the files {listed}; unpack it and use the folder." if names else "It is empty."


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {name} uses an unsupported compression; save it with NumPy.")
    if entry.file_size > min(plausible_bytes(entry.compress_size), MAX_DECODED_BYTES):
        raise DataError(
            f"{path}: {name} claims to unpack {entry.compress_size:,} bytes to {entry.file_size:,}, which is "
            f"implausible or above the supported {MAX_DECODED_BYTES:,}."
        )
    with cast(zipfile.ZipExtFile, archive.open(entry)) as stream:
        version = npy.read_magic(stream)
        if version not in _READ_HEADER:
            raise DataError(f"{path}: {name} has .npy version {version}; expected (1, 0) or (2, 0).")
        shape, fortran_order, dtype = _READ_HEADER[version](stream)
        if dtype.kind not in "iufb":
            raise DataError(
                f"{path}: {name} holds {dtype} values; expected integers. Convert it and save the file again."
            )
        values_bytes = math.prod(shape) * dtype.itemsize
        if stream.tell() + values_bytes != entry.file_size:
            raise DataError(
                f"{path}: {name} does not hold the {values_bytes:,} bytes that its header claims."
            )
        values = read_exactly(stream, values_bytes)  # to its end, where zipfile checks the CRC
    return np.frombuffer(values, dtype=dtype).reshape(shape, order="F" if fortran_order else "C")
