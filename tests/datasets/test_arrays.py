"""What makes four arrays a data set, and its digest."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.datasets import Reading
from mnistbench.datasets.arrays import assemble
from mnistbench.errors import DataError


def parts(**changes):
    return {
        "x_train": np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3) * 10,
        "y_train": np.array([-7, 61, -7, 61]),
        "x_test": np.full((2, 2, 3), 200, dtype=np.uint8),
        "y_test": np.array([61, 61]),
    } | changes


def images(*shape, dtype=np.uint8):
    return np.full(shape, 255, dtype=dtype)


@given(
    labels=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=6, unique=True),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
)
def test_any_integers_are_labels_and_any_size_is_an_image(labels, height, width):
    x, y = images(len(labels), height, width), np.array(labels, dtype=np.int64)
    arrays = assemble("here", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    assert arrays.y_train.tolist() == labels
    assert arrays.x_train.shape == x.shape


REFUSED = {
    "counts differ": ({"y_train": np.array([-7, 61])}, "4 training images but 2 training labels"),
    "test counts differ": ({"y_test": np.array([61])}, "2 test images but 1 test labels"),
    "sizes differ": ({"x_test": images(2, 3, 2)}, "training images are 2x3 pixels, test images are 3x2"),
    "no training images": (
        {"x_train": images(0, 2, 3), "y_train": np.array([], dtype=np.int64)},
        "no training images",
    ),
    "no test images": ({"x_test": images(0, 2, 3), "y_test": np.array([], dtype=np.int64)}, "no test images"),
    "no pixels": ({"x_train": images(4, 0, 3), "x_test": images(2, 0, 3)}, "0x3 pixels"),
    "one class": ({"y_train": np.array([61] * 4)}, "all training images have the label 61"),
    "class without training": (
        {"y_test": np.array([61, 8])},
        "class 8 is in the test labels but not in the training labels; .* use --unseen drop to leave those",
    ),
    "many without training": (
        {"x_test": images(7, 2, 3), "y_test": np.arange(7)},
        r"7 classes \(0, 1, 2, 3, 4, ...\) are in the test",
    ),
    "flat images": ({"x_train": images(4, 6)}, r"shape \(4, 6\); expected \(images, height, width\)"),
    "colour images": ({"x_train": images(4, 2, 3, 3)}, "convert colour images to grey"),
    "real images": (
        {"x_test": images(2, 2, 3, dtype=np.float32)},
        r"float32 .* `\(x \* \(255 / 255\)\)\.round.* --pixel-max 255\.",
    ),
    "images of complex numbers": ({"x_test": images(2, 2, 3, dtype=complex)}, "complex128 values"),
    "negative pixels": ({"x_train": np.full((4, 2, 3), -1)}, "pixels range from -1 to 200; .* x.min"),
    "pixels that are no number": ({"x_train": np.full((4, 2, 3), np.nan)}, "NaN or infinite"),
    "infinite pixels": ({"x_test": np.full((2, 2, 3), np.inf)}, "NaN or infinite"),
    "blank images": ({"x_train": np.zeros((4, 2, 3)), "x_test": np.zeros((2, 2, 3))}, "every pixel is 0"),
    "two scales": (
        {"x_test": np.ones((2, 2, 3), np.uint8)},
        "brightest pixel is 230 in the training images and 1 in the test images; bring both",
    ),
    "real labels": ({"y_train": np.array([0.5, 1, 2, 3])}, "float64 values; expected integers"),
    "labels in columns": (
        {"y_train": np.zeros((4, 1), dtype=int)},
        r"shape \(4, 1\); expected \(images,\), one integer",
    ),
    "labels beyond int64": (
        {"y_train": np.array([0, 1, 2, 2**63], dtype=np.uint64)},
        "the maximum is 9223372036854775807",
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
        {"x_train": parts()["x_train"].reshape(4, 3, 2), "x_test": images(2, 3, 2)},
    ):
        assert assemble("here", **parts(**change)).sha256() != digest


RANGES = {
    "sixteen grey levels": (np.uint8, 16, "0 to 16; multiply by 255/16, or use --pixel-max 16 "),
    "black and white": (np.int64, 1, "0 to 1; multiply by 255/1, or use --pixel-max 1 "),
    "per cent": (np.uint8, 100, "0 to 100; multiply by 255/100, or use --pixel-max 100 "),
    "twelve bits": (np.uint16, 4000, "0 to 4000; expected 0 to 255. .* --pixel-max 4095"),
    "sixteen bits": (np.uint16, 65535, "0 to 65535; expected 0 to 255. .* --pixel-max 65535"),
    "a power of two": (np.int32, 256, "0 to 256; expected 0 to 255. .* --pixel-max 256"),
    "shares": (np.float64, 0.9, r"0 to 0.9 and are float64 .* \(255 / 1\).* --pixel-max 1\."),
    "real levels": (np.float32, 16, "0 to 16 and are float32 .* --pixel-max 16"),
    "booleans": (bool, 1, "0 to 1 and are bool values; .* --pixel-max 1"),
}


def ranged(dtype, brightest):
    """Return parts whose pixels rise from 0 to a brightest one."""
    steps = np.linspace(0, brightest, 24)
    steps = steps if np.dtype(dtype).kind == "f" else steps.round()
    return parts(
        x_train=steps.astype(dtype).reshape(4, 2, 3), x_test=steps[12:].astype(dtype).reshape(2, 2, 3)
    )


@pytest.mark.parametrize("case", RANGES)
def test_pixels_in_another_range_are_refused_with_the_option_that_mends_it(case):
    dtype, brightest, mend = RANGES[case]
    with pytest.raises(DataError, match=f"^here: pixels range from {mend}"):
        assemble("here", **ranged(dtype, brightest))


@pytest.mark.parametrize("case", RANGES)
def test_pixels_are_scaled_from_a_stated_range_that_the_data_set_records(case):
    dtype, brightest, _ = RANGES[case]
    given = ranged(dtype, brightest)
    white = max(brightest, 1)
    arrays = assemble("here", **given, reading=Reading(pixel_max=white))
    assert arrays.x_train.dtype == arrays.x_test.dtype == np.uint8
    for name in ("x_train", "x_test"):
        exact = np.asarray(given[name], dtype=float) * 255 / white
        assert np.abs(getattr(arrays, name) - exact).max() <= 0.5
    assert arrays.changes == (f"pixels scaled from 0-{white}",)


def test_halves_are_rounded_up_in_every_part_of_many_images():
    x_train = np.tile(np.array([0, 1, 255, 510], np.uint16), 625).reshape(2500, 1, 1)
    given = parts(x_train=x_train, y_train=np.resize([-7, 61], 2500), x_test=x_train[2:4])
    arrays = assemble("here", **given, reading=Reading(pixel_max=510))
    assert arrays.x_train[:, 0, 0].tolist() == [0, 1, 128, 255] * 625


@pytest.mark.parametrize(
    ("brightest", "stated"), [(128, None), (250, None), (255, None), (90, 255), (255, 255)]
)
def test_images_from_0_to_255_pass_if_bright_and_dim_ones_once_that_is_stated(brightest, stated):
    given = ranged(np.uint8, brightest)
    arrays = assemble("here", **given, reading=Reading(pixel_max=stated))
    assert np.array_equal(arrays.x_train, given["x_train"])
    assert arrays.changes == ()


def test_pixels_above_the_stated_maximum_are_refused():
    with pytest.raises(DataError, match=r"pixels range from 0 to 17, above --pixel-max 16\."):
        assemble("here", **ranged(np.uint8, 17), reading=Reading(pixel_max=16))


def test_test_images_of_unseen_classes_are_left_out_on_demand_and_counted():
    given = parts(
        x_test=images(5, 2, 3), y_test=np.array([8, 61, 9, 8, -7]), listed_classes=np.array([8, 9, -7, 61])
    )
    arrays = assemble("here", **given, reading=Reading(drop_unseen=True))
    assert arrays.y_test.tolist() == [61, -7]
    assert len(arrays.x_test) == 2
    assert arrays.changes == ("without 3 test images of 2 classes without training images",)
    one = parts(y_test=np.array([8, 61]))
    (change,) = assemble("here", **one, reading=Reading(drop_unseen=True)).changes
    assert change == "without 1 test image of 1 class without training images"
    assert assemble("here", **parts(), reading=Reading(drop_unseen=True)).changes == ()


def test_a_data_set_without_a_test_image_of_a_seen_class_is_refused():
    with pytest.raises(DataError, match="no test image belongs to a class with training images"):
        assemble("here", **parts(y_test=np.array([8, 9])), reading=Reading(drop_unseen=True))
