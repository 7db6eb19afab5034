"""A data set in one NumPy .npz file: x_train, y_train, x_test, y_test and, if wanted, `classes`.

The members are read here, rather than by `numpy.load`, so that nothing is ever unpickled and a file that
claims more than it holds is refused before memory is taken. The .npy format is defined in `numpy.lib.format`.
"""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mnistbench.datasets.arrays import ARRAY_NAMES, Arrays, assemble
from mnistbench.datasets.idx import MAX_DECODED_BYTES
from mnistbench.errors import DataError


def read_npz(path: Path) -> Arrays:
    """Read and check a data set from a .npz file.

    Args:
        path: The file, as written by `numpy.savez` or `numpy.savez_compressed`. It holds x_train and x_test,
            (n, h, w) or (n, h, w, 1), integers from 0 to 255; y_train and y_test, (n,), any integers; and
            optionally `classes`, (k,), the labels that there should be.

    Raises:
        DataError: The file cannot be read, is damaged, or holds no usable data set.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            missing = [name for name in ARRAY_NAMES if f"{name}.npy" not in members]
            if missing:
                raise DataError(
                    f"{path}: has no array {', '.join(missing)}; expected {', '.join(ARRAY_NAMES)}."
                )
            arrays = {name: _read_member(archive, name, path) for name in ARRAY_NAMES}
            classes = _read_member(archive, "classes", path) if "classes.npy" in members else None
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except PermissionError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    except Exception as error:  # zipfile and the .npy header parser raise many kinds for damaged bytes
        raise DataError(
            f"{path}: no intact .npz file ({type(error).__name__}: {error}). Get it again."
        ) from error
    return assemble(str(path), **arrays, listed_classes=classes)


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as stream:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
        if dtype.kind not in "iufb":
            raise DataError(
                f"{path}: {name} holds {dtype} values; expected integers. Convert it and save it again."
            )
        values_bytes = math.prod(shape) * dtype.itemsize
        if values_bytes > MAX_DECODED_BYTES:
            raise DataError(
                f"{path}: {name} claims {values_bytes:,} bytes; at most {MAX_DECODED_BYTES:,} are supported."
            )
        if stream.tell() + values_bytes != entry.file_size:
            raise DataError(
                f"{path}: {name} does not hold the {values_bytes:,} bytes that its header claims."
            )
        # No more than promised is unpacked, and reading up to the end makes zipfile check the CRC.
        values = stream.read(values_bytes)
        if len(values) != values_bytes or stream.read(1):
            raise DataError(f"{path}: {name} is truncated or damaged. Get the file again.")
    return np.frombuffer(values, dtype=dtype).reshape(shape, order="F" if fortran_order else "C")
