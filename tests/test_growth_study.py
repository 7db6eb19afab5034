"""The data sets of the growth study have the shapes that it names, and every class in both parts."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

STUDY = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "studies" / "growth.py"))


@pytest.mark.parametrize("name", STUDY["SHAPES"])
def test_a_set_has_the_shape_that_is_named_and_repeats(name):
    shape, digits = STUDY["SHAPES"][name], load_digits()

    def drawn(count):
        return STUDY["drawn"](shape, digits.images * 15.9, digits.target, count, np.random.default_rng(0))

    images, labels = drawn(2_000)
    assert images.dtype == np.uint8
    assert images.shape == (2_000, *((shape.side, shape.side) if shape.side else (8, 8)))
    sizes = np.bincount(labels)
    assert len(sizes) == shape.classes
    assert sizes.min() / sizes.max() == pytest.approx(shape.smallest, abs=0.03)
    assert images.min() == shape.darkest
    assert images.max() > 200
    assert np.array_equal(images, drawn(2_000)[0])


@pytest.mark.parametrize("count", [334, 500])
def test_the_smallest_test_set_has_every_class(count):
    digits = load_digits()
    _, labels = STUDY["drawn"](
        STUDY["SHAPES"]["62-classes"], digits.images, digits.target, count, np.random.default_rng(0)
    )
    assert len(set(labels.tolist())) == 62
