"""The .npz reader: nothing unpickled, nothing believed that is damaged, memory bounded."""

import io
import pickle
import random
import zipfile

import numpy as np
import pytest
from support.files import Trap, mutated, peak_bytes, refusal, rewrite

from mnistbench.datasets.arrays import ARRAY_NAMES
from mnistbench.datasets.npz import read_npz
from mnistbench.errors import DataError


def members(**changes):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (6, 4, 3), dtype=np.uint8),
        "y_train": np.array([4, 7, 9, 4, 7, 9]),
        "x_test": rng.integers(0, 256, (3, 4, 3), dtype=np.uint8),
        "y_test": np.array([9, 7, 4]),
    } | changes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def assert_holds_the_members(found):
    for name, expected in members().items():
        np.testing.assert_array_equal(getattr(found, name), expected)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_saved(path, save):
    save(path, **members())
    found = read_npz(path)
    assert_holds_the_members(found)
    assert found.x_train.dtype == np.uint8
    assert found.y_train.dtype == np.int64


@pytest.mark.parametrize(
    "change",
    [
        {"x_train": np.asfortranarray(members()["x_train"])},
        {"x_train": members()["x_train"].astype(">i4")},
        {"x_train": members()["x_train"][..., np.newaxis]},
        {"y_train": members()["y_train"].astype(np.uint64)},
        {"classes": np.array([9, 4, 7])},
        {"unrelated": np.zeros(3)},
    ],
    ids=[
        "Fortran order",
        "big-endian",
        "channel axis",
        "unsigned labels",
        "classes listed",
        "further arrays",
    ],
)
def test_reads_the_same_from_other_layouts(path, change):
    np.savez(path, **members(**change))
    assert_holds_the_members(read_npz(path))


def test_an_error_names_the_missing_arrays(path):
    arrays = members()
    del arrays["x_test"], arrays["y_test"]
    np.savez(path, **arrays)
    expected = "expected x_train, y_train, x_test, y_test. It holds the arrays x_train, y_train"
    with pytest.raises(DataError, match=rf"has no array x_test, y_test; {expected}\."):
        read_npz(path)


def test_what_another_npz_holds_is_listed(path):
    np.savez(path, **{f"arr_{number}": np.zeros(1) for number in range(10)})
    with pytest.raises(DataError, match=r"It holds the arrays arr_0, arr_1, .*, arr_7, \.\.\.\.$"):
        read_npz(path)
    np.savez(path)
    with pytest.raises(DataError, match=r"It is empty\.$"):
        read_npz(path)


def test_an_archive_of_files_is_to_be_unpacked(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gzip/emnist-digits-train-images-idx3-ubyte.gz", b"")
    with pytest.raises(DataError, match=r"It holds the files gzip/emnist-.*; unpack it and use the folder"):
        read_npz(path)


@pytest.mark.parametrize(
    ("classes", "cause"),
    [
        ([4, 5, 7, 9], "class 5 is listed in `classes` but not in the training labels"),
        ([4, 7], "class 9 is in the training labels but not listed"),
    ],
)
def test_listed_classes_that_differ_from_the_labels_are_refused(path, classes, cause):
    np.savez(path, **members(classes=np.array(classes)))
    with pytest.raises(DataError, match=cause):
        read_npz(path)


def test_nothing_is_ever_unpickled(path, tmp_path):
    trap = Trap(tmp_path / "sprung")
    np.savez(path, **members(y_train=np.array([trap] * 6, dtype=object)))
    with pytest.raises(DataError, match="y_train holds object values"):
        read_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ARRAY_NAMES:
            archive.writestr(f"{name}.npy", pickle.dumps(trap))
    with pytest.raises(DataError, match="not an intact"):
        read_npz(path)
    path.write_bytes(pickle.dumps(trap))
    with pytest.raises(DataError, match="not an intact"):
        read_npz(path)
    assert not trap.file.exists()


def npy_header(shape, dtype="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "zero_bytes", "cause"),
    [
        ((2**32, 28, 28), 784, "does not hold"),
        ((10, 28, 28), 64 << 20, "implausible"),
        ((1 << 18, 32, 32), 64 << 20, "implausible"),
        ((2, 28, 28), 784, "does not hold the 1,568 bytes"),
        ((1, 28, 27), 784, "does not hold the 756 bytes"),
    ],
)
def test_claims_and_bombs_take_no_memory(path, shape, zero_bytes, cause):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ARRAY_NAMES:
            with archive.open(f"{name}.npy", "w") as stream:
                stream.write(npy_header(shape))
                for start in range(0, zero_bytes, 1 << 20):
                    stream.write(bytes(min(1 << 20, zero_bytes - start)))
            zero_bytes = min(zero_bytes, 784)
    message, peak = peak_bytes(lambda: refusal(lambda: read_npz(path)))
    assert cause in message
    assert peak < 4 << 20


def test_compression_that_numpy_does_not_use_is_refused(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name in ARRAY_NAMES:
            archive.writestr(f"{name}.npy", npy_header((1,)) + b"\0")
    with pytest.raises(DataError, match="save it with NumPy"):
        read_npz(path)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_unreadable_files_are_reported(path, kind):
    if kind == "folder":
        path.mkdir()
    with pytest.raises(DataError, match=str(path)):
        read_npz(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_5_000_damaged_files_never_give_a_wrong_array(path, save):
    save(path, **members())
    original = path.read_bytes()
    rng = random.Random(5)
    refused = 0
    for _ in range(5_000):
        rewrite(path, mutated(original, rng))
        try:
            found = read_npz(path)
        except DataError:
            refused += 1
        else:
            assert_holds_the_members(found)
    assert refused > 3_000
