"""Synthetic training images: the same everywhere, nested, of the training part alone, kept in the cache."""

import hashlib
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.trials import write_dataset

from mnistbench.datasets import open_arrays
from mnistbench.datasets.arrays import Extension
from mnistbench.datasets.holdout import STRATIFIED, held_out_mask
from mnistbench.datasets.synthetic import BLOCK, extended, extension_folder, open_blocks, synthetic_block
from mnistbench.errors import DataError

STROKE = np.zeros((3, 28, 28), np.uint8)
STROKE[0, 4:24, 12:15] = 255
STROKE[1, 12:15, 4:24] = 255
STROKE[2, 8:20, 8:20] = 200


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "noise")


def contents(dataset, count):
    """Return the first images of the extension and their labels."""
    arrays, extension = open_arrays(dataset.arrays_folder), dataset.extension
    blocks = open_blocks(extension_folder(dataset), arrays, count, extension.holdout)
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


def test_every_machine_and_every_version_makes_the_same_bytes():
    block = synthetic_block(STROKE, np.arange(3), 1)
    assert block.shape == (BLOCK, 28, 28)
    assert hashlib.sha256(block.data).hexdigest() == (
        "78b918efc8095dd7fcf80b8eb82f24cc0a2c468b20732e247ec56ae8e21aebe4"
    )


def test_a_synthetic_image_is_a_small_deformation_of_its_own_and_never_the_same_twice():
    block = synthetic_block(STROKE, np.arange(3), 0).astype(int)
    assert len(np.unique(block.reshape(BLOCK, -1), axis=0)) == BLOCK
    originals = np.arange(BLOCK) % 3
    distances = np.abs(block[:, None] - STROKE.astype(int)).mean(axis=(2, 3))
    assert (distances.argmin(axis=1) == originals).all()
    assert 1 < distances.min(axis=1).mean() < 15
    ink = block.mean(axis=(1, 2)) / STROKE.mean(axis=(1, 2))[originals]
    assert 0.95 < ink.mean() < 1.05
    assert np.abs(ink - 1).max() < 0.5


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    level=st.integers(0, 255),
    number=st.integers(0, 900),
)
def test_images_of_any_shape_stay_within_their_own_levels_of_grey(shape, level, number):
    images = np.full((2, *shape), level, np.uint8)
    images[1, 0, 0] = 0
    block = synthetic_block(images, np.array([0, 1]), number)
    assert (block[::2] == level).all()
    assert block.max() <= level


def test_a_larger_extension_begins_with_the_smaller_one_and_only_adds_to_it(dataset):
    small = extended(dataset, Extension(70, "", None))
    few = contents(small, 70)
    before = {path: path.stat().st_mtime_ns for path in extension_folder(small).iterdir()}
    said = []
    large = extended(dataset, Extension(BLOCK + 5, "", None), said.append)
    many = contents(large, BLOCK + 5)
    assert all((a == b[:70]).all() for a, b in zip(few, many, strict=True))
    assert [len(part) for part in many] == [BLOCK + 5] * 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(extension_folder(large).iterdir())) == 2
    assert len(said) == 1
    assert "Making 10,000 synthetic images of Noise, 0.300 MB" in said[0]
    assert extended(dataset, large.extension, said.append) == large
    assert len(said) == 1
    assert small.extension.sha256 != large.extension.sha256


def test_each_pass_deforms_every_training_image_once_with_its_label(dataset):
    arrays = open_arrays(dataset.arrays_folder)
    labels = contents(extended(dataset, Extension(480, "", None)), 480)[1]
    for start in (0, 240):
        assert sorted(labels[start : start + 240]) == sorted(arrays.y_train)
    assert set(labels[:60]) == set(range(10))


def test_no_image_that_is_held_out_is_deformed(tmp_path):
    dataset = write_dataset(tmp_path / "noise", train_count=60)
    path = Path(dataset.arrays_folder) / "x_train.npy"
    arrays = open_arrays(dataset.arrays_folder)
    held = held_out_mask(arrays, STRATIFIED)
    assert held.sum() == 10
    marked = np.where(held[:, None, None], 255, np.minimum(arrays.x_train, 200)).astype(np.uint8)
    np.save(path, marked)
    of_all, of_rest = (
        contents(extended(dataset, Extension(500, "", holdout)), 500) for holdout in (None, STRATIFIED)
    )
    assert of_all[0].max() == 255
    assert of_rest[0].max() <= 200
    assert sorted(of_rest[1][:50]) == sorted(arrays.y_train[~held])


def test_a_damaged_block_is_made_again_and_other_images_than_the_runs_are_refused(dataset):
    made = extended(dataset, Extension(10, "", None))
    images, _ = contents(made, 10)
    (path,) = extension_folder(made).iterdir()
    damaged = np.load(path)
    damaged[0] += 1
    np.save(path, damaged)
    assert extended(dataset, made.extension) == made
    assert (contents(made, 10)[0] == images).all()
    path.write_bytes(b"torn")
    assert extended(dataset, made.extension) == made
    with pytest.raises(DataError, match="differ here from those of the run"):
        extended(dataset, replace(made.extension, sha256="0" * 64))
    assert extended(made, None).extension is None


def test_a_missing_block_says_how_to_repair_it(dataset):
    made = extended(dataset, Extension(10, "", None))
    shutil.rmtree(extension_folder(made))
    with pytest.raises(DataError, match=r"missing\. Fetch the data set again, or start a run on it"):
        contents(made, 10)


def test_a_full_disk_is_noticed_before_any_image_is_made(dataset, monkeypatch):
    usage = namedtuple("usage", ("total", "used", "free"))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 10**9, 100_000))
    with pytest.raises(DataError, match=r"need 0\.300 MB more in .*, which has 0\.100 MB free\. Free space"):
        extended(dataset, Extension(10, "", None))
    assert not list(Path(dataset.arrays_folder).glob("synthetic*/*"))
