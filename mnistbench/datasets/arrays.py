"""A data set: four arrays that fit together, their digest and their source."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistbench.errors import DataError
from mnistbench.text import plural

Images: TypeAlias = NDArray[np.uint8]  # shape (n, height, width)
Labels: TypeAlias = NDArray[np.int64]  # shape (n,), as the data set numbers them

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")

# Images whose brightest pixel is below half of 255 are almost never on a scale from 0 to 255.
_DIMMEST_MAXIMUM = 127
# Maxima of training and test images further apart than this factor mean two scales.
_ONE_SCALE_FACTOR = 8
_SCALED_AT_ONCE = 1_000  # images: the scaling takes 8 bytes a pixel


@dataclass(frozen=True)
class Reading:
    """How to read a user's own arrays."""

    pixel_max: float | None = None  # value of white, which is scaled to 255; None if pixels are from 0 to 255
    drop_unseen: bool = False  # leave out test images of classes without training images, else an error

    @property
    def changes_pixels(self) -> bool:
        """Whether pixels are multiplied by anything but 1."""
        return self.pixel_max not in (None, 255)


AS_IS = Reading()


@dataclass(frozen=True, eq=False)
class Arrays:
    """The images and labels of one data set."""

    x_train: Images
    y_train: Labels
    x_test: Images  # of the same height and width
    y_test: Labels
    changes: tuple[str, ...] = ()  # what reading changed in the data set, such as "pixels scaled from 0-16"
    # int64 (n, 2), the group of each image, such as its writer, and the group's stratum, training images
    # before test images; None if no groups are known.
    groups: NDArray[np.int64] | None = None

    def sha256(self) -> str:
        """Return a digest that is the same for equal data sets, whatever their file format.

        For x_train, y_train, x_test, y_test in this order, it covers the ASCII line "NAME DTYPE SHAPE" (such
        as "x_train |u1 60000x28x28"), a newline, and the values in C order, little-endian.
        """
        digest = hashlib.sha256()
        for name in ARRAY_NAMES:
            array = getattr(self, name)
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            shape = "x".join(str(length) for length in array.shape)
            digest.update(f"{name} {array.dtype.str} {shape}\n".encode("ascii"))
            digest.update(array.data)
        return digest.hexdigest()

    def groups_sha256(self) -> str | None:
        """Return the digest of the groups' values, little-endian in C order; None without groups.

        It is apart from `sha256`, so that MNIST is the same data set with and without its writers.
        """
        if self.groups is None:
            return None
        return hashlib.sha256(np.ascontiguousarray(self.groups, dtype="<i8").data).hexdigest()


@dataclass(frozen=True)
class Extension:
    """Synthetic training images that a data set is extended by, as `datasets.synthetic` makes them."""

    count: int  # number of images
    sha256: str  # digest of the digests of their blocks
    holdout: str | None  # the kind of hold-out whose images are not deformed; None if all training images are


@dataclass(frozen=True)
class DatasetInfo:
    """Where a data set came from and where its arrays are stored."""

    name: str  # "mnist", "digits", or the name of the user's folder or file
    title: str  # to print
    source: str  # the mirror's address, the folder's name, or "embedded in scikit-learn"
    licence: str
    sha256: str  # `Arrays.sha256` of the arrays
    image_shape: tuple[int, int]  # (height, width)
    classes: tuple[int, ...]  # the labels that occur, sorted, as the data set numbers them
    train_count: int
    test_count: int
    arrays_folder: str  # the folder for `open_arrays`
    fallback_reason: str | None = None  # why this data set replaces MNIST; None if it was requested
    reading: Reading = AS_IS  # how it was read
    changes: tuple[str, ...] = ()  # `Arrays.changes`; the title lists them too
    holdout: str | None = "last"  # the kind that `holdout.choose_holdout` chose; None if too small for one
    holdout_count: int | None = None  # images in that hold-out; None for a sixth of the training images
    groups_sha256: str | None = None  # `Arrays.groups_sha256`; None if no groups are known
    group_noun: str = "group"  # what a group is: "writer", or "group" for a user's own
    strata: tuple[str, ...] = ()  # names of the groups' strata, in the order of their numbers, if any
    class_names: tuple[str, ...] = ()  # names of the classes, in their order; empty if the labels say enough
    citation: str = ""  # the work to cite for it
    # Whose hands or scans the images are from: data sets with the same may share them; empty if that is
    # unknown.
    people: str = ""
    # What was checked so that nobody is both trained and tested on, if the training images are of another
    # data set.
    overlap: str = ""
    # Its synthetic training images, for trials on more images than it has; None for none. The other fields do
    # not count them.
    extension: Extension | None = None

    def class_name(self, label: int) -> str:
        """Return the name of a class, or its label if the classes have no names."""
        return self.class_names[self.classes.index(label)] if self.class_names else str(label)


def assemble(
    origin: str,
    *,
    x_train: NDArray[Any],
    y_train: NDArray[Any],
    x_test: NDArray[Any],
    y_test: NDArray[Any],
    listed_classes: NDArray[Any] | None = None,
    groups: tuple[NDArray[Any], NDArray[Any]] | None = None,
    reading: Reading = AS_IS,
) -> Arrays:
    """Check that four arrays form a data set, and convert them to one form.

    Args:
        origin: The folder or file they came from; errors name it.
        x_train: Training images, (n, h, w) or (n, h, w, 1), integers from 0 to 255; with `reading.pixel_max`
            any numbers from 0 to that.
        y_train: Training labels, (n,), any integers that int64 holds.
        x_test: Test images, of the training images' height and width.
        y_test: Test labels; each also occurs among the training labels, unless `reading` drops the others.
        listed_classes: The labels that the data set says it has, if it lists them.
        groups: The groups of the training and of the test images, (n,) each, any integers that int64 holds.
        reading: How to treat other ranges of pixels, and test images of unseen classes.

    Raises:
        DataError: The arrays do not form a usable data set.
    """
    x_train = _images(origin, "training images", x_train)
    x_test = _images(origin, "test images", x_test)
    y_train = _labels(origin, "training labels", y_train)
    y_test = _labels(origin, "test labels", y_test)
    _check_shapes(origin, (x_train, y_train), (x_test, y_test))
    _check_pixels(origin, x_train, x_test, reading.pixel_max)
    together = None if groups is None else _groups(origin, groups, len(x_train), len(x_test))
    changes = []
    if reading.changes_pixels:
        changes.append(f"pixels scaled from 0-{_number(reading.pixel_max)}")
    seen = np.isin(y_test, y_train)
    if reading.drop_unseen and not seen.all():
        if not seen.any():
            raise DataError(f"{origin}: no test image belongs to a class with training images.")
        dropped = np.unique(y_test[~seen])
        changes.append(
            f"without {plural(int((~seen).sum()), 'test image')} of "
            f"{len(dropped)} {'class' if len(dropped) == 1 else 'classes'} without training images"
        )
        x_test, y_test = x_test[seen], y_test[seen]
        if together is not None:
            together = together[np.concatenate([np.full(len(x_train), fill_value=True), seen])]
        if listed_classes is not None:
            listed_classes = listed_classes[~np.isin(listed_classes, dropped)]
    _check_classes(origin, y_train, y_test, listed_classes)
    return Arrays(
        x_train=_scaled(x_train, reading.pixel_max),
        y_train=y_train,
        x_test=_scaled(x_test, reading.pixel_max),
        y_test=y_test,
        changes=tuple(changes),
        groups=together,
    )


def _check_shapes(origin: str, train: tuple[NDArray[Any], Labels], test: tuple[NDArray[Any], Labels]) -> None:
    """Refuse splits without images or with other labels than images, and images that differ in size."""
    for split, (x, y) in (("training", train), ("test", test)):
        if len(x) != len(y):
            raise DataError(
                f"{origin}: there are {len(x):,} {split} images but {len(y):,} {split} labels; "
                "each image needs one label."
            )
        if len(x) == 0:
            raise DataError(f"{origin}: there are no {split} images; both splits need some.")
    train_shape, test_shape = train[0].shape[1:], test[0].shape[1:]
    if train_shape != test_shape:
        raise DataError(
            f"{origin}: training images are {train_shape[0]}x{train_shape[1]} pixels, test images "
            f"are {test_shape[0]}x{test_shape[1]}; all must have the same size."
        )
    if 0 in train_shape:
        raise DataError(
            f"{origin}: the images are {train_shape[0]}x{train_shape[1]} pixels, so they are empty."
        )


def _check_classes(origin: str, y_train: Labels, y_test: Labels, listed_classes: NDArray[Any] | None) -> None:
    trained = set(np.unique(y_train).tolist())
    if len(trained) < 2:
        raise DataError(
            f"{origin}: all training images have the label {min(trained)}; at least two classes are needed."
        )
    untrained = set(np.unique(y_test).tolist()) - trained
    if untrained:
        raise DataError(
            f"{origin}: {_enumerate(untrained)} in the test labels but not in the training labels; "
            "add training images, or use --unseen drop to leave those test images out."
        )
    if listed_classes is None:
        return
    listed = set(_labels(origin, "classes", listed_classes).tolist())
    if listed - trained:
        raise DataError(
            f"{origin}: {_enumerate(listed - trained)} listed in `classes` but not in the training labels; "
            "add training images or shorten the list."
        )
    if trained - listed:
        raise DataError(
            f"{origin}: {_enumerate(trained - listed)} in the training labels but not listed in `classes`; "
            "complete the list or leave `classes` out."
        )


def _enumerate(classes: set[int]) -> str:
    """Return such as "class 5 is"; of many classes, name the first few."""
    first = ", ".join(str(label) for label in sorted(classes)[:5])
    if len(classes) == 1:
        return f"class {first} is"
    return f"{len(classes)} classes ({first}{', ...' if len(classes) > 5 else ''}) are"


def _images(origin: str, kind: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the images, still of any numeric type, (n, h, w)."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[:, :, :, 0]
    if array.ndim != 3:
        raise DataError(
            f"{origin}: the {kind} have shape {array.shape}; expected (images, height, width), "
            "or the same with a last axis of length 1. Reshape flat rows; convert colour images to greyscale."
        )
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{origin}: the {kind} hold {array.dtype.name} values; expected integers from 0 to 255."
        )
    return array


def _check_pixels(origin: str, x_train: NDArray[Any], x_test: NDArray[Any], pixel_max: float | None) -> None:
    """Refuse pixels outside the stated range, and say how to convert them.

    Without a stated maximum, pixels must be integers and the brightest of all must be above half of 255.
    """
    lows, highs = zip(*(_extremes(origin, x) for x in (x_train, x_test)), strict=True)
    low, high = min(lows), max(highs)
    found = f"{origin}: pixels range from {_number(low)} to {_number(high)}"
    if low < 0:
        raise DataError(
            f"{found}; expected integers from 0 to 255. "
            "Convert with `((x - x.min()) * (255 / (x.max() - x.min()))).round().astype('uint8')`."
        )
    if high == 0:
        raise DataError(f"{origin}: every pixel is 0, so the images are blank.")
    if max(highs) > _ONE_SCALE_FACTOR * min(highs):
        raise DataError(
            f"{origin}: the brightest pixel is {_number(highs[0])} in the training images and "
            f"{_number(highs[1])} in the test images; bring both to the same scale."
        )
    if pixel_max is not None:
        if high > pixel_max:
            raise DataError(f"{found}, above --pixel-max {_number(pixel_max)}.")
        return
    likely = _number(_likely_maximum(high))
    real = [x.dtype.name for x in (x_train, x_test) if x.dtype.kind not in "iu"]
    if real:
        raise DataError(
            f"{found} and are {real[0]} values; expected integers from 0 to 255. "
            f"Convert with `(x * (255 / {likely})).round().astype('uint8')`, or use --pixel-max {likely}."
        )
    if high > 255:
        raise DataError(f"{found}; expected 0 to 255. Multiply by 255/{likely}, or use --pixel-max {likely}.")
    if high <= _DIMMEST_MAXIMUM:
        raise DataError(
            f"{found}; multiply by 255/{likely}, or use --pixel-max {likely} "
            "(--pixel-max 255 if they are already correct)."
        )


def _extremes(origin: str, images: NDArray[Any]) -> tuple[float, float]:
    low, high = float(images.min()), float(images.max())
    if not math.isfinite(low + high):  # both are NaN if any value is
        raise DataError(f"{origin}: some pixels are NaN or infinite; replace them with numbers.")
    return low, high


def _likely_maximum(high: float) -> float:
    """Return the most likely value of white, given the brightest pixel."""
    if high <= 1:
        return 1
    if high <= _DIMMEST_MAXIMUM:
        return high
    if high <= 255:
        return 255
    bits = math.ceil(math.log2(high))
    return high if high == 2**bits else 2**bits - 1


def _scaled(images: NDArray[Any], pixel_max: float | None) -> Images:
    """Return the images times 255 / pixel_max, rounded half up, as uint8."""
    if pixel_max is None or (pixel_max == 255 and images.dtype.kind in "iu"):
        return np.ascontiguousarray(images, dtype=np.uint8)
    scaled = np.empty(images.shape, dtype=np.uint8)
    for start in range(0, len(images), _SCALED_AT_ONCE):
        some = slice(start, start + _SCALED_AT_ONCE)
        scaled[some] = np.floor(images[some].astype(np.float64) * 255 / pixel_max + 0.5)
    return scaled


def _number(value: float | None) -> str:
    """Return a number as people write it: 16, not 16.0."""
    return f"{value:.0f}" if value is not None and value == int(value) else f"{value:.4g}"


def _labels(origin: str, kind: str, array: NDArray[Any]) -> Labels:
    if array.ndim != 1:
        raise DataError(
            f"{origin}: the {kind} have shape {array.shape}; expected (images,), one integer for each."
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"{origin}: the {kind} hold {array.dtype.name} values; expected integers. "
            "Convert with `.astype('int64')`."
        )
    if array.size and array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(
            f"{origin}: the {kind} go up to {int(array.max())}; the maximum is {np.iinfo(np.int64).max}."
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def _groups(
    origin: str, groups: tuple[NDArray[Any], NDArray[Any]], train_count: int, test_count: int
) -> NDArray[np.int64]:
    """Return the groups of all images in the form of `Arrays.groups`, in one stratum."""
    ids = []
    for split, given, count in zip(("training", "test"), groups, (train_count, test_count), strict=True):
        ids.append(_labels(origin, f"{split} groups", given))
        if len(given) != count:
            raise DataError(
                f"{origin}: there are {count:,} {split} images but {len(given):,} {split} groups; "
                "each image needs one group."
            )
    every = np.concatenate(ids)
    return np.stack([every, np.zeros_like(every)], axis=1)
