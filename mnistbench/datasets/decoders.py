"""From the files of a data set, as they are published, to its arrays."""

import bz2
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Arrays, Reading, assemble
from mnistbench.datasets.folder import read_folder, read_user_data
from mnistbench.datasets.idx import read_idx
from mnistbench.datasets.npz import read_arrays
from mnistbench.errors import DataError

_STUDENTS = 4  # NIST's series that high-school students wrote; 0 and 1 are by employees of the Census Bureau
_MNIST_TEST_COUNT = 10_000
_LARGEST_TEXT_BYTES = 256 << 20


def idx_or_npz(place: Path) -> Arrays:
    """Read a folder of four IDX files or with mnist.npz, or such a .npz file."""
    archive = place / "mnist.npz"
    return read_user_data(archive if archive.is_file() else place)


def zipped_idx(folder: Path, archive: str, members: str) -> Arrays:
    """Read four IDX files from a zip archive; their images are stored with rows and columns exchanged.

    The names of its members begin with `members`, such as "gzip/emnist-digits-".
    """
    unpacked = folder / f".unpacked-{Path(members).name}"
    try:
        unpacked.mkdir(exist_ok=True)
        with zipfile.ZipFile(folder / archive) as packed:
            for name in packed.namelist():
                if name.startswith(members):
                    with packed.open(name) as member, (unpacked / Path(name).name).open("wb") as file:
                        shutil.copyfileobj(member, file)
        arrays = read_folder(unpacked)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{folder / archive}: cannot be unpacked: {error}. Download it again.") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return assemble(
        str(folder / archive),
        x_train=arrays.x_train.transpose(0, 2, 1),
        y_train=arrays.y_train,
        x_test=arrays.x_test.transpose(0, 2, 1),
        y_test=arrays.y_test,
    )


def single_arrays(folder: Path, files: Sequence[str]) -> Arrays:
    """Read four .npz files of one array, "arr_0": training images and labels, test images and labels."""
    x_train, y_train, x_test, y_test = (read_arrays(folder / name, ["arr_0"])["arr_0"] for name in files)
    return assemble(str(folder), x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def medmnist(folder: Path, file: str) -> Arrays:
    """Read a .npz file of MedMNIST; its validation images become the last of the training images."""
    names = [f"{part}_{kind}" for part in ("train", "val", "test") for kind in ("images", "labels")]
    found = read_arrays(folder / file, names)
    for name in names[1::2]:
        shape = found[name].shape
        if len(shape) != 2 or shape[1] != 1:
            raise DataError(f"{folder / file}: {name} has shape {shape}; expected one label an image.")
    return assemble(
        str(folder / file),
        x_train=np.concatenate([found["train_images"], found["val_images"]]),
        y_train=np.concatenate([found["train_labels"], found["val_labels"]])[:, 0],
        x_test=found["test_images"],
        y_test=found["test_labels"][:, 0],
    )


def libsvm(folder: Path, files: Sequence[str], image_shape: tuple[int, int]) -> Arrays:
    """Read a training and a test file in libsvm's text format, bzip2-compressed, with values from -1 to 1.

    A line is a label and, for each pixel whose value is not 0, its number from 1, a colon and the value.
    """
    (x_train, y_train), (x_test, y_test) = (_libsvm_file(folder / name, image_shape) for name in files)
    return assemble(
        str(folder),
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        reading=Reading(pixel_max=2),
    )


def _libsvm_file(path: Path, image_shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the images, with 1 added to their values, and the labels."""
    height, width = image_shape
    rows, labels = [], []
    try:
        with bz2.open(path) as file:
            content = file.read(_LARGEST_TEXT_BYTES + 1)
        if len(content) > _LARGEST_TEXT_BYTES:
            raise ValueError(f"it unpacks to more than {_LARGEST_TEXT_BYTES:,} bytes")
        for line in content.splitlines():
            label, *pixels = line.split()
            row = np.zeros(height * width)
            for pixel in pixels:
                number, value = pixel.split(b":")
                row[range(height * width)[int(number) - 1]] = float(value)
            rows.append(row + 1)
            labels.append(int(float(label)))
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(
            f"{path}: not an intact file of libsvm's format: {error}. Download it again."
        ) from error
    return np.reshape(rows, (-1, height, width)), np.array(labels, dtype=np.int64)


def qmnist(folder: Path, *, lost_only: bool) -> Arrays:
    """Read QMNIST, with the writers of its images.

    `lost_only` leaves out the first 10,000 test images, which are MNIST's.
    """
    tables = [_table(folder / f"qmnist-{part}-labels-idx2-int.gz") for part in ("train", "test")]
    images = [
        read_idx(folder / f"qmnist-{part}-images-idx3-ubyte.gz", dimensions=3) for part in ("train", "test")
    ]
    start = _MNIST_TEST_COUNT if lost_only else 0
    arrays = assemble(
        str(folder),
        x_train=images[0],
        y_train=tables[0][:, 0],
        x_test=images[1][start:],
        y_test=tables[1][start:, 0],
    )
    return _grouped(arrays, np.concatenate([tables[0], tables[1][start:]]))


def with_writers(folder: Path, arrays: Arrays) -> Arrays:
    """Add the writers to MNIST's arrays, from QMNIST's labels of the same images.

    Raises:
        DataError: The classes there are not MNIST's labels.
    """
    train, test = (_table(folder / f"qmnist-{part}-labels-idx2-int.gz") for part in ("train", "test"))
    table = np.concatenate([train, test[: len(arrays.y_test)]])
    labels = np.concatenate([arrays.y_train, arrays.y_test])
    if len(table) != len(labels) or (table[:, 0] != labels).any():
        raise DataError(f"{folder}: the classes in QMNIST's labels are not those of MNIST's images.")
    return _grouped(arrays, table)


def _table(path: Path) -> NDArray[Any]:
    """Return QMNIST's labels, (n, 8): class, NIST's series, writer, and what traces the image."""
    table = read_idx(path, dimensions=2)
    if table.shape[1] != 8 or not np.isin(table[:, 1], (0, 1, _STUDENTS)).all():
        raise DataError(f"{path}: is not a table of QMNIST's labels; download it again.")
    return table


def _grouped(arrays: Arrays, table: NDArray[Any]) -> Arrays:
    groups = np.stack([table[:, 2], table[:, 1] == _STUDENTS], axis=1).astype(np.int64)
    return replace(arrays, groups=groups)


def mnist_c(folder: Path, archive: str, kinds: Sequence[str]) -> Arrays:
    """Read MNIST-C: the clean training images, and the test images corrupted in each way.

    The copies of one image are a group; their strata are the ways.

    `kinds` are the clean images' name in it, then that of each corruption.
    """
    clean, *corrupted = kinds
    names = [f"mnist_c/{clean}/train_{kind}" for kind in ("images", "labels")]
    names += [f"mnist_c/{way}/test_{kind}" for kind in ("images", "labels") for way in corrupted]
    x_train, y_train, *rest = read_arrays(folder / archive, names).values()
    x_test, y_test = rest[: len(corrupted)], rest[len(corrupted) :]
    arrays = assemble(
        str(folder / archive),
        x_train=x_train,
        y_train=y_train,
        x_test=np.concatenate(x_test),
        y_test=np.concatenate(y_test),
    )
    ids = [np.arange(len(labels)) for labels in y_test]
    ways = [np.full(len(labels), way) for way, labels in enumerate(y_test, start=1)]
    first = max(map(len, y_test))
    groups = np.stack(
        [
            np.concatenate([first + np.arange(len(y_train)), *ids]),
            np.concatenate([np.zeros(len(y_train), dtype=np.int64), *ways]),
        ],
        axis=1,
    )
    return replace(arrays, groups=groups.astype(np.int64))
