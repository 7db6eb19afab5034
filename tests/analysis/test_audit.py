"""An audit tells models that do the same again from those that drift."""

import numpy as np
import pytest
from support.synthetic_runs import Model, make_run

from mnistbench.analysis.audit import audit
from mnistbench.runs.predictions import encode_predictions
from mnistbench.runs.records import Status


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path, {"svm": Model(0.05)}, repeats=2)


def replace(folder, *, labels=None, probability=None, fit=1) -> None:
    """Change some labels, or the first probability, of the second fit or of another."""
    trial_id = folder.records()[fit].trial.id
    stored = folder.predictions(trial_id)
    found, probabilities = stored.labels.copy(), stored.probabilities.copy()
    if labels is not None:
        found[labels] = (found[labels] + 1) % 10
    if probability is not None:
        probabilities[0, 0] = probability(probabilities[0, 0])
    folder.write(f"predictions/{trial_id}.npz", encode_predictions(found, probabilities))


def test_equal_bits_are_bit_identical(folder):
    (found,) = audit(folder)
    assert (found.outcome, found.fits, found.images_changed) == ("bit-identical", 2, 0)
    assert (found.image_count, found.probability_change) == (1000, 0.0)


def test_a_last_bit_of_a_probability_is_noticed(folder):
    replace(folder, probability=lambda value: np.nextafter(value, np.float32(1)))
    (found,) = audit(folder)
    assert (found.outcome, found.images_changed) == ("same labels", 0)
    assert 0 < found.probability_change < 1e-7


def test_a_zero_that_changes_its_sign_is_another_bit(folder):
    replace(folder, probability=lambda _: 0.0, fit=0)
    replace(folder, probability=lambda _: -0.0)
    assert audit(folder)[0].outcome == "same labels"


def test_images_whose_label_changed_are_counted(folder):
    replace(folder, labels=slice(7))
    (found,) = audit(folder)
    assert (found.outcome, found.images_changed) == ("drifting", 7)


def test_other_seeds_are_no_repetition(tmp_path):
    (found,) = audit(make_run(tmp_path, {"svm": Model(0.05)}, seeds=(0, 1)))
    assert (found.outcome, found.fits) == ("unknown", 0)


def test_each_seed_is_compared_with_itself(tmp_path):
    (found,) = audit(make_run(tmp_path, {"svm": Model(0.05)}, seeds=(0, 1), repeats=3))
    assert (found.outcome, found.fits) == ("bit-identical", 6)


def test_a_model_that_fails_is_unknown(tmp_path):
    models = {"bad": Model(statuses=(Status.FAILED, Status.FAILED)), "half": Model(statuses=(Status.FAILED,))}
    found = {each.label: each for each in audit(make_run(tmp_path, models, repeats=2))}
    assert {each.outcome for each in found.values()} == {"unknown"}
    assert found["bad"].status == "failed"


def test_without_probabilities_labels_decide(tmp_path):
    (found,) = audit(make_run(tmp_path, {"svm": Model(0.05, probabilities=False)}, repeats=2))
    assert (found.outcome, found.probability_change) == ("bit-identical", None)
