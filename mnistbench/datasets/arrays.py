"""What a data set is: four arrays that fit together, their digest and their provenance."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistbench.errors import DataError

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Arrays:
    """The images and labels of one data set.

    Attributes:
        x_train: Training images, uint8, (n, height, width).
        y_train: Their labels as the data set numbers them, int64, (n,).
        x_test: Test images, uint8, (m, height, width).
        y_test: Their labels, int64, (m,).
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]

    def sha256(self) -> str:
        """Digest that says whether two data sets are the same, whatever file format they came from.

        For x_train, y_train, x_test, y_test in this order: the ASCII line "NAME DTYPE SHAPE" (such as
        "x_train |u1 60000x28x28"), a newline, then the values in C order, little-endian.
        """
        digest = hashlib.sha256()
        for name in ARRAY_NAMES:
            array = getattr(self, name)
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            shape = "x".join(str(length) for length in array.shape)
            digest.update(f"{name} {array.dtype.str} {shape}\n".encode("ascii"))
            digest.update(array.data)
        return digest.hexdigest()


@dataclass(frozen=True)
class DatasetInfo:
    """Where a data set came from and where its arrays lie; small, and JSON through `dataclasses.asdict`.

    Attributes:
        name: "mnist", "digits", or the name of the user's folder or file.
        title: The name to print.
        source: Where the bytes came from: a mirror's address, a folder, "embedded in scikit-learn".
        licence: The data's licence.
        sha256: `Arrays.sha256` of the arrays.
        image_shape: Height and width in pixels.
        classes: The labels that occur, sorted, as the data set numbers them.
        train_count: Number of training images.
        test_count: Number of test images.
        arrays_folder: The folder for `open_arrays`.
        fallback_reason: Why this data set stands in for MNIST; None if it was asked for.
    """

    name: str
    title: str
    source: str
    licence: str
    sha256: str
    image_shape: tuple[int, int]
    classes: tuple[int, ...]
    train_count: int
    test_count: int
    arrays_folder: str
    fallback_reason: str | None = None


def assemble(
    origin: str,
    *,
    x_train: NDArray[Any],
    y_train: NDArray[Any],
    x_test: NDArray[Any],
    y_test: NDArray[Any],
    listed_classes: NDArray[Any] | None = None,
) -> Arrays:
    """Check that four arrays make a data set, and bring them to one form.

    Args:
        origin: The folder or file they came from; errors name it.
        x_train: Training images, (n, h, w) or (n, h, w, 1), integers from 0 to 255.
        y_train: Training labels, (n,), any integers that int64 holds.
        x_test: Test images, of the training images' height and width.
        y_test: Test labels, only such as training shows.
        listed_classes: The labels that there should be, if the data set lists them.

    Raises:
        DataError: The arrays are no usable data set; the text says why and what to do.
    """
    arrays = Arrays(
        x_train=_images(origin, "training images", x_train),
        y_train=_labels(origin, "training labels", y_train),
        x_test=_images(origin, "test images", x_test),
        y_test=_labels(origin, "test labels", y_test),
    )
    for split, x, y in (("training", arrays.x_train, arrays.y_train), ("test", arrays.x_test, arrays.y_test)):
        if len(x) != len(y):
            raise DataError(
                f"{origin}: there are {len(x):,} {split} images but {len(y):,} {split} labels; "
                "each image needs one label."
            )
        if len(x) == 0:
            raise DataError(f"{origin}: there are no {split} images; both splits need some.")
    train_shape, test_shape = arrays.x_train.shape[1:], arrays.x_test.shape[1:]
    if train_shape != test_shape:
        raise DataError(
            f"{origin}: training images are {train_shape[0]}x{train_shape[1]} pixels but test images "
            f"{test_shape[0]}x{test_shape[1]}; all must have one size."
        )
    if 0 in train_shape:
        raise DataError(
            f"{origin}: the images are {train_shape[0]}x{train_shape[1]} pixels, so they are empty."
        )
    _check_classes(origin, arrays, listed_classes)
    return arrays


def _check_classes(origin: str, arrays: Arrays, listed_classes: NDArray[Any] | None) -> None:
    trained = set(np.unique(arrays.y_train).tolist())
    if len(trained) < 2:
        raise DataError(
            f"{origin}: all training images have the label {min(trained)}; two classes are needed."
        )
    untrained = set(np.unique(arrays.y_test).tolist()) - trained
    if untrained:
        raise DataError(
            f"{origin}: {_enumerate(untrained)} in the test labels but no training image; "
            "add training images of it or leave its test images out."
        )
    if listed_classes is None:
        return
    listed = set(_labels(origin, "classes", listed_classes).tolist())
    if listed - trained:
        raise DataError(
            f"{origin}: {_enumerate(listed - trained)} in `classes` but no training image; "
            "add training images of it or take it off the list."
        )
    if trained - listed:
        raise DataError(
            f"{origin}: {_enumerate(trained - listed)} in the training labels but not listed in `classes`; "
            "add it to the list or leave `classes` out."
        )


def _enumerate(classes: set[int]) -> str:
    """Such as "class 5 is"; of many, the first few."""
    first = ", ".join(str(label) for label in sorted(classes)[:5])
    if len(classes) == 1:
        return f"class {first} is"
    return f"{len(classes)} classes ({first}{', ...' if len(classes) > 5 else ''}) are"


def _images(origin: str, kind: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[:, :, :, 0]
    if array.ndim != 3:
        raise DataError(
            f"{origin}: the {kind} have shape {array.shape}; expected (images, height, width), "
            "or that with one last axis of length 1. Reshape flat rows; turn colour images into grey ones."
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"{origin}: the {kind} hold {array.dtype.name} values; expected integers from 0 to 255. "
            "Convert values from 0 to 1 with `(x * 255).round().astype('uint8')`."
        )
    if array.size and array.dtype != np.uint8:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise DataError(
                f"{origin}: the {kind} hold values from {low} to {high}; expected integers from 0 to 255. "
                "Convert with `((x - x.min()) * (255 / (x.max() - x.min()))).round().astype('uint8')`."
            )
    return np.ascontiguousarray(array, dtype=np.uint8)


def _labels(origin: str, kind: str, array: NDArray[Any]) -> NDArray[np.int64]:
    if array.ndim != 1:
        raise DataError(
            f"{origin}: the {kind} have shape {array.shape}; expected one integer an image, (images,)."
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"{origin}: the {kind} hold {array.dtype.name} values; expected integers. "
            "Convert with `.astype('int64')`."
        )
    if array.size and array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(
            f"{origin}: the {kind} go up to {int(array.max())}; at most {np.iinfo(np.int64).max} fits."
        )
    return np.ascontiguousarray(array, dtype=np.int64)
