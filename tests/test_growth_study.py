"""The growth study makes the data sets that it names, and a row for each model and data set."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from support.trials import MODELS

FILE = Path(__file__).parents[1] / "benchmarks" / "studies" / "growth.py"
STUDY = runpy.run_path(str(FILE))


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
    few_labels = drawn(334)[1]  # the test images of 2,000
    assert np.array_equal(np.unique(few_labels), np.arange(shape.classes))


@pytest.mark.slow
def test_a_model_that_fails_is_a_row_and_the_exit_status_1(tmp_path):
    options = ["--images", "400", "--shapes", "16x16", "--models", MODELS, "--only", "stub,nearest"]
    answer = subprocess.run(
        [sys.executable, FILE, *map(str, options), "--set", "stub.how=raising"],
        env=os.environ | {"MNISTBENCH_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    rows = [line.split() for line in answer.stdout.splitlines()]
    assert answer.returncode == 1
    for data in ("plain", "16x16"):
        assert ["stub", data, "failed"] in rows
        assert any(row[:2] == ["nearest", data] and float(row[6]) > 0 for row in rows if len(row) > 6)
