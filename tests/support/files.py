"""Data sets as files: small ones in each format, and damaged ones."""

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from mnistbench.errors import DataError

T = TypeVar("T")

CODES = {">u1": 0x08, ">i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx_bytes(array, dtype=">u1"):
    header = bytes([0, 0, CODES[dtype], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + np.ascontiguousarray(array, dtype=dtype).tobytes()


def mutated(content, rng):
    """Change a few bytes as bad disks, cables and tools do."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        position = rng.randrange(len(content) + 1)
        match rng.randrange(6):
            case 0:
                content[position : position + 1] = bytes([rng.randrange(256)])
            case 1:
                content[position : position + 1] = bytes([1 << rng.randrange(8)])
            case 2:
                del content[position : position + rng.randrange(1, 9)]
            case 3:
                content[position:position] = rng.randbytes(rng.randrange(1, 9))
            case 4:
                content[position : position + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
            case 5 if rng.random() < 0.2:
                del content[position:]
    return bytes(content)


def peak_bytes(read: Callable[[], T]) -> tuple[T, int]:
    """Return what a function returns, and the most memory that it held meanwhile."""
    tracemalloc.start()
    try:
        return read(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refusal(read: Callable[[], object]) -> str:
    """Return the text of the error that refuses the data."""
    with pytest.raises(DataError) as caught:
        read()
    return str(caught.value)


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def rewrite(path, content):
    """Write a new file: ext4 flushes one that is emptied and written again, which takes milliseconds."""
    path.unlink()
    path.write_bytes(content)


LABELS = np.array([4, 7, 9, 13, *range(15, 70, 2)][:32])


def splits(size=(9, 7)):
    rng = np.random.default_rng(3)
    return {
        "train": (rng.integers(0, 256, (96, *size), dtype=np.uint8), np.tile(LABELS, 3)),
        "test": (rng.integers(0, 256, (64, *size), dtype=np.uint8), np.tile(LABELS, 2)),
    }


def write(folder, *, test="t10k", compressed=False, separator="-", label_type=">u1", data=None, name=""):
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in (data or splits()).items():
        prefix = test if split == "test" else split
        for kind, content in (("images", idx_bytes(images)), ("labels", idx_bytes(labels, label_type))):
            file = f"{name}{prefix}-{kind}{separator}idx{3 if kind == 'images' else 1}-ubyte"
            if compressed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / file).write_bytes(content)
    return folder
