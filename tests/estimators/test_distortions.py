"""Distorted images keep their size and their ink, and move as far as asked, no further."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.estimators.distortions import RandomShift, RandomWarp


def dot(height, width):
    """Return one image of a single bright pixel in the middle."""
    image = np.zeros((1, height, width), dtype=np.float32)
    image[0, height // 2, width // 2] = 1
    return image


@given(pixels=st.integers(0, 3), height=st.integers(7, 12), width=st.integers(7, 12), seed=st.integers(0, 99))
def test_a_shift_moves_each_image_by_whole_pixels(pixels, height, width, seed):
    images = np.repeat(dot(height, width), 20, axis=0)
    shifted = RandomShift(pixels)(images, np.random.default_rng(seed))
    assert shifted.shape == images.shape
    assert shifted.dtype == np.float32
    assert np.array_equal(shifted.sum(axis=(1, 2)), np.ones(20))
    rows, columns = np.unravel_index(shifted.reshape(20, -1).argmax(axis=1), (height, width))
    assert np.abs(rows - height // 2).max() <= pixels
    assert np.abs(columns - width // 2).max() <= pixels


def test_every_shift_occurs_about_equally_often():
    images = np.repeat(dot(9, 9), 9_000, axis=0)
    total = RandomShift(1)(images, np.random.default_rng(0)).sum(axis=0)
    assert np.count_nonzero(total) == 9
    assert total[total > 0].min() > 850


@given(row=st.integers(0, 7), column=st.integers(0, 8), pixels=st.integers(0, 3))
def test_a_shift_cuts_nothing_off(row, column, pixels):
    """An image with ink within a shift's reach of a side stays as it is; any other may move."""
    images = np.zeros((60, 8, 9), dtype=np.float32)
    images[:, row, column] = 1
    shifted = RandomShift(pixels)(images, np.random.default_rng(0))
    near_a_side = min(row, 7 - row, column, 8 - column) < pixels
    assert np.array_equal(shifted, images) == (near_a_side or pixels == 0)
    assert np.array_equal(shifted.sum(axis=(1, 2)), np.ones(60))


@pytest.mark.parametrize("shape", [(5, 8, 8), (130, 28, 28), (3, 6, 11), (2, 1, 1)])
def test_a_warp_of_no_reach_changes_nothing(shape):
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert np.allclose(RandomWarp()(images, np.random.default_rng(1)), images, atol=1e-6)


@given(seed=st.integers(0, 99))
def test_a_warp_makes_no_ink(seed):
    """Bilinear interpolation weighs up to four pixels by at most one in all."""
    images = np.random.default_rng(0).random((10, 9, 7), dtype=np.float32)
    warp = RandomWarp(rotation=20, scale=0.2, shear=0.2, shift=2, elastic=1, images_per_warp=2)
    warped = warp(images, np.random.default_rng(seed))
    assert warped.shape == images.shape
    assert warped.dtype == np.float32
    assert warped.min() >= 0
    assert warped.max() <= 1 + 1e-6


def test_a_quarter_turn_is_numpys():
    """A rotation by exactly 90 degrees, drawn by a generator that always answers the greatest angle."""

    class Greatest:
        def uniform(self, low, high, shape):
            return np.full(shape, high)

    images = np.random.default_rng(0).random((1, 8, 8), dtype=np.float32)
    turned = RandomWarp(rotation=90)(images, Greatest())
    quarter = [np.rot90(images[0], turns) for turns in (1, -1)]
    assert min(np.abs(turned[0] - expected).max() for expected in quarter) < 1e-5


def test_neighbours_get_different_warps_and_the_same_seed_the_same():
    images = np.repeat(np.random.default_rng(0).random((1, 12, 12), dtype=np.float32), 256, axis=0)
    warp = RandomWarp(rotation=15, elastic=1, images_per_warp=64)
    warped = warp(images, np.random.default_rng(3))
    assert len(np.unique(warped.reshape(256, -1), axis=0)) == 4
    assert not np.array_equal(warped[0], warped[1])
    assert np.array_equal(warped, warp(images, np.random.default_rng(3)))


def test_the_elastic_displacement_has_the_deviation_asked_for():
    sources = RandomWarp(elastic=1.5, smoothness=3)._sources(50, 28, 28, np.random.default_rng(0))
    assert np.std(sources - np.indices((28, 28))) == pytest.approx(1.5, rel=0.01)
