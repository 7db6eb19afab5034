"""The IDX format, as defined at the end of http://yann.lecun.com/exdb/mnist/.

Two zero bytes, one byte for the values' type, one for the number of dimensions, each dimension's length as a
big-endian unsigned 32-bit integer, then the values, big-endian, in C order. Files may be gzip-compressed.
"""

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# Decoded values are held in memory once, so a file may not claim more than this.
MAX_DECODED_BYTES = 2 << 30

# Deflate reaches 1032:1 on constant bytes, and such a file is a decompression bomb. MNIST reaches 5:1.
_MAX_GZIP_RATIO = 200
_ALWAYS_ALLOWED_BYTES = 16 << 20

_CHUNK_BYTES = 1 << 20


def read_idx(path: Path, *, dimensions: int) -> NDArray[Any]:
    """Read one IDX file, plain or gzip-compressed (told by its first bytes, not by its name).

    Memory stays below the size that the file's own length makes plausible: a header that claims more is
    refused before anything is allocated, and nothing beyond the claimed size is unpacked.

    Args:
        path: The file.
        dimensions: How many dimensions it must have: 3 for images, 1 for labels.

    Returns:
        An array of the file's type and shape, big-endian.

    Raises:
        DataError: The file cannot be read or is not exactly one whole IDX array.
    """
    try:
        with path.open("rb") as file:
            file_bytes = os.fstat(file.fileno()).st_size
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=file) as stream:
                    most = max(_ALWAYS_ALLOWED_BYTES, _MAX_GZIP_RATIO * file_bytes)
                    return _read_stream(
                        stream, path, dimensions, most, "a gzip file of its size can plausibly hold"
                    )
            return _read_stream(file, path, dimensions, file_bytes, "the file holds")
    except EOFError as error:
        raise DataError(
            f"{path}: the gzip data end too early: the file is truncated. {_GET_AGAIN}"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip data are damaged ({error}). {_GET_AGAIN}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


_GET_AGAIN = "Get the file again."


def _read_stream(
    stream: io.BufferedIOBase, path: Path, dimensions: int, most_bytes: int, most_is: str
) -> NDArray[Any]:
    magic = _read_exactly(stream, 4, path)
    dtype = _DTYPES.get(magic[2])
    if magic[:2] != b"\0\0" or dtype is None or magic[3] != dimensions:
        expected = bytes([0, 0, 0x08, dimensions]).hex()
        raise DataError(
            f"{path}: not an IDX file of {dimensions} dimension{'s' * (dimensions > 1)}: it starts with "
            f"{magic.hex()}, expected {expected} (or another of the format's value types as third byte)."
        )
    shape = struct.unpack(f">{dimensions}I", _read_exactly(stream, 4 * dimensions, path))
    values_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    claim = f"{path}: the header claims {'x'.join(map(str, shape))} values, {values_bytes:,} bytes"
    if values_bytes > most_bytes:
        raise DataError(f"{claim}, more than {most_is}: the file is damaged or truncated. {_GET_AGAIN}")
    if values_bytes > MAX_DECODED_BYTES:
        raise DataError(f"{claim}; at most {MAX_DECODED_BYTES:,} are supported. Use fewer or smaller images.")
    values = _read_exactly(stream, values_bytes, path)
    if stream.read(1):
        raise DataError(f"{claim}, but more follow: the header is wrong or the file is damaged. {_GET_AGAIN}")
    return np.frombuffer(values, dtype=dtype).reshape(shape)


def _read_exactly(stream: io.BufferedIOBase, count: int, path: Path) -> bytearray:
    buffer = bytearray(count)
    view = memoryview(buffer)
    filled = 0
    while filled < count:
        step = stream.readinto(view[filled : filled + _CHUNK_BYTES])
        if not step:
            raise DataError(
                f"{path}: truncated: {count:,} bytes of header or values were due, "
                f"{filled:,} are there. {_GET_AGAIN}"
            )
        filled += step
    return buffer


def idx_sha256(array: NDArray[Any]) -> str:
    """SHA-256 of the plain IDX file, of unsigned bytes, that holds these values.

    So arrays from any source can be compared with the published sums of the official files.

    Args:
        array: Integers from 0 to 255 of any shape.
    """
    header = bytes([0, 0, 0x08, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array, dtype=np.uint8).data)
    return digest.hexdigest()
