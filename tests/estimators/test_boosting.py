"""Boosted trees keep scikit-learn's contract and tell how far they have come."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from xgboost import XGBClassifier

from mnistbench.estimators.boosting import BoostedTrees


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.uint8)[:600], y[:600]


def small(**parameters):
    return BoostedTrees(n_estimators=6, max_depth=3, n_jobs=1, random_state=0, **parameters)


@pytest.mark.parametrize("classes", [2, 10])
def test_it_predicts_as_the_class_it_extends(digits, classes):
    X, y = (array[digits[1] < classes] for array in digits)
    plain = XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1, random_state=0).fit(X, y)
    model = small().fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.predict_proba(X).shape == (len(X), classes)
    assert np.mean(model.predict(X) == y) > (0.98 if classes == 2 else 0.9)


def test_each_round_is_reported(digits):
    model, calls = small(), []
    model.on_progress = lambda *progress: calls.append(progress)
    model.fit(*digits)
    assert calls == [(done, 6, "round") for done in range(1, 7)]


@pytest.mark.parametrize(("hard_rounds", "rounds"), [(9, 9), (None, 6)])
def test_hard_images_get_more_rounds(hard_rounds, rounds):
    hard = np.array([[0], [2], [1], [3]] * 10), np.array([0, 0, 1, 1] * 10)
    easy = np.sort(hard[0], axis=0), np.sort(hard[1])
    model = clone(small(hard_rounds=hard_rounds))
    assert model.fit(*easy).get_booster().num_boosted_rounds() == 6
    assert model.fit(*hard).get_booster().num_boosted_rounds() == rounds


@pytest.mark.parametrize("classes", [2, 10])
def test_a_stage_predicts_with_the_trees_so_far(digits, classes):
    X, y = (array[digits[1] < classes] for array in digits)
    model = small(missing=0).fit(X, y)
    stages = list(model.staged_predict(X))
    assert len(stages) == 6
    for done, labels in enumerate(stages, start=1):
        np.testing.assert_array_equal(labels, model.predict(X, iteration_range=(0, done)))
    np.testing.assert_array_equal(list(model.staged_predict(X, stages=[0, 3, 5])), stages[0::3] + stages[5:])


def test_reporting_leaves_the_parameters_alone(digits):
    model = small()
    model.on_progress = lambda *_: None
    model.fit(*digits)
    assert model.get_params()["callbacks"] is None
    assert clone(model).get_params()["max_depth"] == 3


def test_a_report_that_raises_ends_the_training_and_leaves_no_callback(digits):
    model = small()

    def stop(*_):
        raise KeyboardInterrupt

    model.on_progress = stop
    with pytest.raises(KeyboardInterrupt):
        model.fit(*digits)
    assert model.callbacks is None


def test_a_pickle_holds_the_trees_and_not_the_report(digits):
    X, y = digits
    model = small()
    model.on_progress = lambda *_: None  # a lambda cannot be pickled
    model.fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert again.on_progress is None
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
