"""The digits inside scikit-learn, scaled and split as documented."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mnistbench.datasets import open_arrays, resolve
from mnistbench.datasets.named import NAMED
from mnistbench.errors import DataError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def info(cache):
    return resolve("digits", cache=cache)


def test_the_split_is_stratified_and_leaves_nothing_out(info):
    arrays = open_arrays(info.arrays_folder)
    assert (info.train_count, info.test_count) == (len(arrays.x_train), len(arrays.x_test)) == (1297, 500)
    assert np.bincount(arrays.y_test).tolist() == [50] * 10
    expected = np.bincount(load_digits().target) - 50
    assert np.bincount(arrays.y_train).tolist() == expected.tolist()


def test_every_image_is_an_original_scaled_as_documented(info):
    """Pixel squares of 3x3 with a border of 2, and 255/16 times the value, rounded."""
    arrays = open_arrays(info.arrays_folder)
    images = np.concatenate([arrays.x_train, arrays.x_test])
    assert info.image_shape == images.shape[1:] == (28, 28)
    border = np.ones((28, 28), dtype=bool)
    border[2:26, 2:26] = False
    assert not images[:, border].any()
    small = images[:, 3:26:3, 3:26:3]
    np.testing.assert_array_equal(np.kron(small, np.ones((3, 3), dtype=np.uint8)), images[:, 2:26, 2:26])
    original = load_digits()
    scaled = np.floor(original.images * 255 / 16 + 0.5).astype(np.uint8)
    labels = np.concatenate([arrays.y_train, arrays.y_test])
    found, expected = (
        sorted((int(label), image.tobytes()) for label, image in zip(*pairs, strict=True))
        for pairs in ((labels, small), (original.target, scaled))
    )
    assert found == expected
    assert small.max() == 255


def test_the_digits_describe_themselves(info, cache):
    assert info.name == "digits"
    assert info.classes == tuple(range(10))
    assert info.arrays_folder == str(cache / "digits")
    assert info.sha256 == open_arrays(info.arrays_folder).sha256()
    assert info.fallback_reason is None


def test_the_second_time_scikit_learn_is_not_asked(info, cache):
    unasked = replace(NAMED["digits"], read=lambda place: pytest.fail(f"{place} was read again"))
    assert resolve("digits", cache=cache, named={"digits": unasked}) == info


def test_a_damaged_cache_is_repaired(tmp_path, info):
    assert resolve("digits", cache=tmp_path).sha256 == info.sha256
    file = tmp_path / "digits" / "x_train.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    resolve("digits", cache=tmp_path)
    assert open_arrays(tmp_path / "digits").sha256() == info.sha256


def test_other_digits_are_not_passed_off_as_these(tmp_path, monkeypatch):
    changed = load_digits()
    changed.images[7, 4, 4] = 16 - changed.images[7, 4, 4]
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: changed)
    with pytest.raises(DataError, match="differ from the known scikit-learn digits"):
        resolve("digits", cache=tmp_path)
    assert not (tmp_path / "digits").exists()
