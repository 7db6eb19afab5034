"""Trials beyond the data set: what they are trained on, how, and which of them are refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.trials import job_of, record_of, write_dataset

from mnistbench.datasets.arrays import Extension
from mnistbench.datasets.synthetic import extended
from mnistbench.runs.records import Status
from mnistbench.trial.images import Blocks

BAYES = '''"""Naive Bayes."""

from sklearn.naive_bayes import GaussianNB


def build():
    return GaussianNB()
'''
CONSTANT_SIZE = '''"""Counts what it is given."""

import numpy as np


class Counts:
    def fit(self, X, y):
        assert (X.dtype, X.shape) == (np.float32, (300, 30))
        assert 0 <= X.min() < X.max() <= 1
        assert np.bincount(y).min() >= 24
        self.classes_ = np.arange(10)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def build():
    return Counts()
'''


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    data = write_dataset(tmp_path_factory.mktemp("data"), train_count=240)
    return extended(data, Extension(60, "", None))


def beyond(dataset, tmp_path, source, seconds, size):
    """Return the record of a trial on 240 images and 60 synthetic ones, which is expected to take so much."""
    path = tmp_path / "own.py"
    path.write_text(source, encoding="utf-8")
    job = job_of(path, dataset=dataset, train_size=300, synthetic=60)
    return record_of(replace(job, expected_seconds=seconds, expected_bytes=size))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="shows what of a file is in memory")
def test_of_the_file_of_a_block_nothing_stays_in_memory(tmp_path):
    path = tmp_path / "block.npy"
    images = np.random.default_rng(0).integers(0, 256, (5000, 28, 28), np.uint8)
    np.save(path, images)
    mapped = np.lib.format.open_memmap(path, mode="r")

    def resident():
        mapping = Path("/proc/self/smaps").read_text().partition(str(path))[2]
        return int(re.search(r"^Rss: +(\d+)", mapping, re.MULTILINE)[1])

    assert mapped[4000].any()
    assert resident() > 0
    block, _ = Blocks([(mapped, np.zeros(5000, int), np.arange(5000))], [0])[0]
    assert resident() == 0
    assert np.array_equal(np.rint(255 * block).reshape(images.shape), images)


def test_an_estimator_that_needs_all_images_in_memory_gets_them(dataset, tmp_path):
    record = beyond(dataset, tmp_path, CONSTANT_SIZE, 1, 1)
    assert record.status is Status.OK, record.failure
    assert record.measurement.train_images == 300
    assert record.measurement.engine == "its own code"


def test_an_estimator_that_learns_by_blocks_may_be_foretold_to_need_too_much_memory(dataset, tmp_path):
    record = beyond(dataset, tmp_path, BAYES, 1, 10**15)
    assert record.status is Status.OK, record.failure
    assert record.measurement.engine.endswith(", by blocks")
    assert record.measurement.learns_by_blocks
    assert record.measurement.train_images == 300
    assert record.quality.accuracy > 0.9
    assert record.measurement.train_accuracy > 0.9


@pytest.mark.parametrize(
    ("source", "seconds", "size"), [(CONSTANT_SIZE, 1, 61e9), (CONSTANT_SIZE, 7500, 1), (BAYES, 7500, 61e9)]
)
def test_what_is_foretold_to_exceed_its_limits_is_refused_with_its_forecast(
    dataset, tmp_path, source, seconds, size
):
    record = beyond(dataset, tmp_path, source, seconds, size)
    assert record.status is Status.REFUSED
    assert record.failure.message.startswith("own on 300 images: about ")
    assert ("2 h 5 min" in record.failure.message) == (seconds == 7500)
    assert ("61,000 MB" in record.failure.message) == (size == 61e9)
    assert "the limits are 60.0 s and 4,290 MB (--timeout, --memory-limit)" in record.failure.message
