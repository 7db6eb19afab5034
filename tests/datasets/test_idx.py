"""The IDX reader: exactly what was written, or a clear error, within a bounded memory."""

import gzip
import hashlib
import random
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support.files import CODES, idx_bytes, mutated, peak_bytes, refusal, rewrite

from mnistbench.datasets.idx import idx_sha256, read_idx
from mnistbench.errors import DataError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train-images-idx3-ubyte"


IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    dtype=st.sampled_from(sorted(CODES)),
    compressed=st.booleans(),
    shape=npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6),
)
def test_reads_what_was_written(path, data, dtype, compressed, shape):
    array = data.draw(npst.arrays(np.dtype(dtype), shape))
    content = idx_bytes(array, dtype)
    path.write_bytes(gzip.compress(content) if compressed else content)
    found = read_idx(path, dimensions=len(shape))
    assert found.dtype == np.dtype(dtype)
    assert found.shape == shape
    assert found.tobytes() == array.tobytes()


def test_gzip_is_recognized_by_its_first_bytes_not_the_name(tmp_path):
    for name, content in (("plain.gz", idx_bytes(IMAGES)), ("zipped", gzip.compress(idx_bytes(IMAGES)))):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_idx(tmp_path / name, dimensions=3), IMAGES)


CONTENT = idx_bytes(IMAGES)
DAMAGED = {
    "empty": (b"", "truncated"),
    "no magic": (b"\x08\x03", "truncated"),
    "html": (b"<!DOCTYPE html><title>404</title>", "starts with the bytes 3c 21 44 4f"),
    "wrong magic": (b"\x00\x01" + CONTENT[2:], "expected 00 00 08 03"),
    "unknown type": (b"\x00\x00\x0a" + CONTENT[3:], "starts with the bytes 00 00 0a 03"),
    "labels for images": (idx_bytes(IMAGES[:, 0, 0]), "starts with the bytes 00 00 08 01"),
    "header cut": (CONTENT[:9], "truncated"),
    "values cut": (CONTENT[:-1], "claims 5x4x3 values, or 60 bytes"),
    "bytes follow": (CONTENT + b"\0", "more bytes follow"),
    "2^32 - 1 images": (CONTENT[:4] + b"\xff" * 4 + CONTENT[8:], "claims 4294967295x4x3"),
    "every dimension 2^32 - 1": (CONTENT[:4] + b"\xff" * 12 + CONTENT[16:], "cannot plausibly hold"),
    "gzip cut": (gzip.compress(CONTENT)[:-9], "truncated"),
    "gzip without its sums": (gzip.compress(CONTENT)[:-8], "truncated"),
    "gzip of truncated values": (gzip.compress(CONTENT[:-1]), "60 bytes of header or values, found 59"),
    "gzip of too many bytes": (gzip.compress(CONTENT + b"\0"), "more bytes follow"),
    "gzip with a wrong sum": (gzip.compress(CONTENT)[:-8] + bytes(8), "CRC"),
    "gzip, then rubbish": (gzip.compress(CONTENT) + b"rubbish", "Not a gzipped file"),
    "gzip header alone": (b"\x1f\x8b", "truncated"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_reported_with_the_file_and_the_cause(path, case):
    content, cause = DAMAGED[case]
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}.*{re.escape(cause)}"):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_unreadable_files_are_reported(path, kind):
    if kind == "folder":
        path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(path, dimensions=3)


def gzip_of_zeros(header, zero_bytes):
    """A gzip file of a header and zeros, made without holding them."""
    deflate = zlib.compressobj(9, wbits=31)
    blocks = [deflate.compress(header)]
    blocks += [deflate.compress(bytes(1 << 20)) for _ in range(zero_bytes >> 20)]
    return b"".join([*blocks, deflate.flush()])


@pytest.mark.parametrize(
    ("count", "cause"),
    [(10, "more bytes"), ((64 << 20) // 784, "cannot plausibly"), (0xFFFFFFFF, "cannot plausibly")],
    ids=["claims little", "claims what it holds", "claims 2^32 - 1 images"],
)
def test_a_decompression_bomb_takes_no_memory(path, count, cause):
    """64 MiB of zeros in 65 KB."""
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", count, 28, 28)
    path.write_bytes(gzip_of_zeros(header, 64 << 20))
    message, peak = peak_bytes(lambda: refusal(lambda: read_idx(path, dimensions=3)))
    assert cause in message
    assert peak < 8 << 20


def test_a_plain_file_that_claims_2_to_the_32_images_takes_no_memory(path):
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 0xFFFFFFFF, 28, 28) + bytes(784))
    _, peak = peak_bytes(lambda: refusal(lambda: read_idx(path, dimensions=3)))
    assert peak < 1 << 20


def test_reading_takes_no_second_copy(path):
    images = np.random.default_rng(0).integers(0, 256, (4096, 64, 64), dtype=np.uint8)
    path.write_bytes(gzip.compress(idx_bytes(images), compresslevel=1))
    found, peak = peak_bytes(lambda: read_idx(path, dimensions=3))
    assert found.nbytes == 16 << 20
    assert peak < 1.3 * found.nbytes


def test_10_000_damaged_gzip_files_never_give_a_wrong_array(path):
    """Each is refused with a clear error or, where the damage is to a field without meaning, read right."""
    rng = random.Random(20)
    original = gzip.compress(CONTENT, mtime=0)
    path.touch()
    refused = 0
    for _ in range(10_000):
        rewrite(path, mutated(original, rng))
        try:
            found = read_idx(path, dimensions=3)
        except DataError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, IMAGES)
    assert refused > 8_000


def test_10_000_damaged_plain_files_are_refused_or_are_other_valid_files(path):
    """A plain file has no check sum: what is read must be what the bytes say, in full."""
    rng = random.Random(20)
    path.touch()
    refused = 0
    for _ in range(10_000):
        content = mutated(CONTENT, rng)
        rewrite(path, content)
        try:
            found = read_idx(path, dimensions=3)
        except DataError:
            refused += 1
        else:
            assert idx_bytes(found, found.dtype.newbyteorder(">").str.replace("|", ">")) == content
    assert refused > 4_000


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=64), dimensions=st.sampled_from([1, 3]), magic=st.booleans())
def test_any_bytes_are_read_or_refused(path, content, dimensions, magic):
    path.write_bytes(bytes([0, 0, 8, dimensions]) * magic + content)
    try:
        found = read_idx(path, dimensions=dimensions)
    except DataError:
        return
    assert found.ndim == dimensions


@given(npst.arrays(np.uint8, npst.array_shapes(max_dims=3, max_side=5)))
def test_idx_sha256_is_that_of_the_plain_file(array):
    assert idx_sha256(array) == hashlib.sha256(idx_bytes(array)).hexdigest()
    assert idx_sha256(array.astype(np.int64)) == idx_sha256(array)
