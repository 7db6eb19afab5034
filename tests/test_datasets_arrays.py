"""What makes four arrays a data set, and its digest."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.datasets.arrays import assemble
from mnistbench.errors import DataError


def parts(**changes):
    return {
        "x_train": np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3),
        "y_train": np.array([-7, 61, -7, 61]),
        "x_test": np.ones((2, 2, 3), dtype=np.uint8),
        "y_test": np.array([61, 61]),
    } | changes


def images(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype=dtype)


@given(
    labels=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=6, unique=True),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
)
def test_any_integers_are_labels_and_any_size_is_an_image(labels, height, width):
    count = len(labels)
    arrays = assemble(
        "here",
        x_train=images(count, height, width),
        y_train=np.array(labels, dtype=np.int64),
        x_test=images(1, height, width),
        y_test=np.array(labels[:1], dtype=np.int64),
    )
    assert arrays.y_train.tolist() == labels
    assert arrays.x_train.shape == (count, height, width)


REFUSED = {
    "counts differ": ({"y_train": np.array([-7, 61])}, "4 training images but 2 training labels"),
    "test counts differ": ({"y_test": np.array([61])}, "2 test images but 1 test labels"),
    "sizes differ": ({"x_test": images(2, 3, 2)}, "training images are 2x3 pixels but test images 3x2"),
    "no training images": (
        {"x_train": images(0, 2, 3), "y_train": np.array([], dtype=np.int64)},
        "no training images",
    ),
    "no test images": ({"x_test": images(0, 2, 3), "y_test": np.array([], dtype=np.int64)}, "no test images"),
    "no pixels": ({"x_train": images(4, 0, 3), "x_test": images(2, 0, 3)}, "0x3 pixels"),
    "one class": ({"y_train": np.array([61] * 4)}, "all training images have the label 61"),
    "class without training": (
        {"y_test": np.array([61, 8])},
        "class 8 is in the test labels but no training image",
    ),
    "many without training": (
        {"x_test": images(7, 2, 3), "y_test": np.arange(7)},
        r"7 classes \(0, 1, 2, 3, 4, ...\) are in the test",
    ),
    "flat images": ({"x_train": images(4, 6)}, r"shape \(4, 6\); expected \(images, height, width\)"),
    "colour images": ({"x_train": images(4, 2, 3, 3)}, "turn colour images into grey"),
    "real images": ({"x_test": images(2, 2, 3, dtype=np.float32)}, r"float32 .* `\(x \* 255\)"),
    "boolean images": (
        {"x_test": images(2, 2, 3, dtype=bool)},
        "bool values; expected integers from 0 to 255",
    ),
    "too bright": (
        {"x_train": np.full((4, 2, 3), 256)},
        "values from 256 to 256; expected integers from 0 to 255",
    ),
    "negative pixels": ({"x_train": np.full((4, 2, 3), -1)}, "values from -1 to -1"),
    "real labels": ({"y_train": np.array([0.5, 1, 2, 3])}, "float64 values; expected integers"),
    "labels in columns": ({"y_train": np.zeros((4, 1), dtype=int)}, r"shape \(4, 1\); expected one integer"),
    "labels beyond int64": (
        {"y_train": np.array([0, 1, 2, 2**63], dtype=np.uint64)},
        "at most 9223372036854775807",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_together_is_refused_by_name(case):
    change, cause = REFUSED[case]
    with pytest.raises(DataError, match=cause) as caught:
        assemble("the folder", **parts(**change))
    assert str(caught.value).startswith("the folder: ")


def test_a_class_without_test_images_is_allowed():
    """Small test splits may lack one; the metrics say how they count it."""
    assert assemble("here", **parts()).y_test.tolist() == [61, 61]


def test_the_digest_is_the_documented_one():
    arrays = assemble("here", **parts())
    expected = hashlib.sha256()
    for name, dtype, shape in (
        ("x_train", "|u1", "4x2x3"),
        ("y_train", "<i8", "4"),
        ("x_test", "|u1", "2x2x3"),
        ("y_test", "<i8", "2"),
    ):
        expected.update(f"{name} {dtype} {shape}\n".encode())
        expected.update(getattr(arrays, name).astype(dtype).tobytes())
    assert arrays.sha256() == expected.hexdigest()


def test_the_digest_ignores_layout_and_sees_every_change():
    digest = assemble("here", **parts()).sha256()
    same = parts(
        x_train=np.asfortranarray(parts()["x_train"]).astype(">i4"), y_test=parts()["y_test"].astype(">i2")
    )
    assert assemble("there", **same).sha256() == digest
    for change in (
        {"x_train": parts()["x_train"][::-1]},
        {"x_train": parts()["x_train"] + np.uint8(1)},
        {"y_train": np.array([61, -7, 61, -7])},
        {"y_test": np.array([61, -7])},
        {"x_train": parts()["x_train"].reshape(4, 3, 2), "x_test": images(2, 3, 2) + np.uint8(1)},
    ):
        assert assemble("here", **parts(**change)).sha256() != digest
