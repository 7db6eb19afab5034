"""The IDX format, as defined at the end of http://yann.lecun.com/exdb/mnist/.

Two zero bytes, one byte for the values' type, one for the number of dimensions, each dimension's length as a
big-endian unsigned 32-bit integer, then the values, big-endian, in C order. Files may be gzip-compressed.
"""

import contextlib
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

# Values are decoded into memory, so a file may not claim more than this.
MAX_DECODED_BYTES = 2 << 30

# A decompression bomb reaches deflate's 1032:1; MNIST compresses 5:1.
_MAX_DEFLATE_RATIO = 200
_ALWAYS_PLAUSIBLE_BYTES = 16 << 20

_STEP_BYTES = 1 << 20


def read_idx(path: Path, *, dimensions: int) -> NDArray[Any]:
    """Read one IDX file, plain or gzip-compressed according to its first bytes, not its name.

    A header that claims more than the file's length makes plausible is refused before memory is allocated,
    and nothing beyond the claimed size is unpacked.

    It must have so many dimensions: 3 for images, 1 for labels, 2 for a table of labels.

    Returns:
        An array of the file's type and shape, big-endian.

    Raises:
        DataError: The file cannot be read or is not exactly one complete IDX array.
    """
    try:
        with path.open("rb") as file:
            file_bytes = os.fstat(file.fileno()).st_size
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=file) as stream:
                    return _read_stream(stream, dimensions, most_bytes=plausible_bytes(file_bytes))
            return _read_stream(file, dimensions, most_bytes=file_bytes - 4 - 4 * dimensions)
    except EOFError as error:
        raise DataError(f"{path}: truncated ({error}). Download the file again.") from error
    except (_FormatError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not an intact IDX file: {error}. Download the file again.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def is_idx(path: Path) -> bool:
    """Return whether a file begins like an IDX file, plain or gzip-compressed."""
    with contextlib.suppress(OSError, EOFError, zlib.error), path.open("rb") as file:
        start = file.read(4)
        if start[:2] == b"\x1f\x8b":
            file.seek(0)
            start = gzip.GzipFile(fileobj=file).read(4)
        return len(start) == 4 and start[:2] == b"\0\0" and start[2] in _DTYPES and start[3] > 0
    return False


class _FormatError(Exception):
    """The bytes are not the expected array."""


def _read_stream(stream: io.BufferedIOBase, dimensions: int, *, most_bytes: int) -> NDArray[Any]:
    magic = bytes(read_exactly(stream, 4))
    dtype = _DTYPES.get(magic[2])
    if magic[:2] != b"\0\0" or dtype is None or magic[3] != dimensions:
        raise _FormatError(
            f"it starts with the bytes {magic.hex(' ')}; expected 00 00 08 {dimensions:02x}, "
            "or with another of the format's value types as the third byte"
        )
    shape = struct.unpack(f">{dimensions}I", read_exactly(stream, 4 * dimensions))
    values_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    claim = f"its header claims {'x'.join(map(str, shape))} values, or {values_bytes:,} bytes"
    if values_bytes > most_bytes:
        raise _FormatError(f"{claim}; a file of this size cannot plausibly hold more than {most_bytes:,}")
    if values_bytes > MAX_DECODED_BYTES:
        raise _FormatError(f"{claim}; at most {MAX_DECODED_BYTES:,} are supported, so use fewer images")
    values = read_exactly(stream, values_bytes)
    if stream.read(1):
        raise _FormatError(f"{claim}, but more bytes follow")
    return np.frombuffer(values, dtype=dtype).reshape(shape)


def read_exactly(stream: io.BufferedIOBase, byte_count: int) -> bytearray:
    """Read so many bytes, in small steps, so unpacking needs no second copy; EOFError if there are fewer."""
    buffer = bytearray(byte_count)
    view = memoryview(buffer)
    filled = 0
    while filled < byte_count:
        step = stream.readinto(view[filled : filled + _STEP_BYTES])
        if not step:
            raise EOFError(f"expected {byte_count:,} bytes of header or values, found {filled:,}")
        filled += step
    return buffer


def plausible_bytes(deflated_bytes: int) -> int:
    """Return the most bytes that deflated bytes may unpack to, unless they are a decompression bomb."""
    return max(_ALWAYS_PLAUSIBLE_BYTES, _MAX_DEFLATE_RATIO * deflated_bytes)


def idx_sha256(array: NDArray[Any]) -> str:
    """Return the SHA-256 of the plain IDX file, of unsigned bytes, that holds these values.

    It compares arrays of any shape and source with the published checksums of the official files.
    """
    header = bytes([0, 0, 0x08, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array, dtype=np.uint8).data)
    return digest.hexdigest()
