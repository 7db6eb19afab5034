"""The measurement `robustness`: what is predicted for corrupted copies, after all timed work."""

from dataclasses import replace

import numpy as np
import pytest
from support.trials import CORE

from mnistbench.datasets import open_arrays
from mnistbench.datasets.corruptions import conditions, corrupted, images_digest
from mnistbench.execution import isolation
from mnistbench.runs.predictions import decode_predictions


def measured(job):
    outcome = isolation.run_trial(replace(job, measurements=("robustness",)), CORE)
    assert outcome.failure is None, outcome.log
    return outcome.measurement.copies_sha256, decode_predictions(outcome.predictions), outcome


@pytest.mark.parametrize("name", ["nearest", "constant", "without_probabilities"])
def test_a_trial_predicts_every_copy_of_the_images_that_judge_it(make_job, name):
    job = make_job(name)
    hashes, predictions, outcome = measured(job)
    images = open_arrays(job.dataset.arrays_folder).x_test
    assert list(hashes) == [condition.name for condition in conditions()]
    assert hashes == {c.name: images_digest(corrupted(images, c)) for c in conditions()}
    assert set(predictions.on_copies) == set(hashes)
    has_probabilities = predictions.probabilities is not None
    assert has_probabilities == (name == "constant")
    for condition, found in predictions.on_copies.items():
        scored = has_probabilities and condition.startswith(("shift-", "rotation-", "noise-"))
        assert (found.confidence is not None) == (found.surprise is not None) == scored
        assert np.isin(found.labels, job.dataset.classes).all()
    # What it says of the images themselves is what it says without this measurement.
    alone = isolation.run_trial(job, CORE)
    assert alone.measurement.copies_sha256 is None
    plain = decode_predictions(alone.predictions)
    assert plain.on_copies == {}
    assert np.array_equal(plain.labels, predictions.labels)
    assert outcome.record(job, beside=0).quality == alone.record(job, beside=0).quality


def test_a_model_that_cannot_predict_the_copies_keeps_its_trial(make_job):
    # It refuses black images, and those without edges are.
    hashes, predictions, outcome = measured(make_job("zeroing"))
    assert hashes is None
    assert predictions.on_copies == {}
    assert "No robustness was measured." in outcome.log.decode()
