"""A committee says what its networks say on the mean, and counts their steps through."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mnistbench.estimators.neural import Committee, NeuralClassifier, Training

TRAIN = 1_297
NOT_TO_THE_LAST_BIT = {"check_methods_sample_order_invariance": "its networks are held to single precision"}


@dataclass(frozen=True)
class DenseLayers:
    """A function's name in a test's holds its address, which is another one in every process."""

    def __call__(self, layers):
        return [layers.Flatten(), layers.Dense(32, activation="relu")]


def network(seed):
    return NeuralClassifier(DenseLayers(), Training(epochs=2, batch_size=64, min_steps=1), (8, 8), seed=seed)


@pytest.fixture(scope="module")
def trained(odd_digits):
    """A committee of two, fitted, and what it reported and predicted meanwhile."""
    X, y = odd_digits
    committee, seen = Committee([network(1), make_pipeline(MinMaxScaler(), network(2))]), []
    committee.on_progress = lambda *report: seen.append((report, committee.predict_proba(X[TRAIN:])))
    committee.fit(X[:TRAIN], y[:TRAIN])
    committee.on_progress = None
    return committee, seen


def test_it_predicts_the_mean_of_its_networks(trained, odd_digits):
    X, y = odd_digits
    alone = [
        column.fit(X[:TRAIN], y[:TRAIN]).predict_proba(X[TRAIN:])
        for column in (network(1), make_pipeline(MinMaxScaler(), network(2)))
    ]
    probabilities = trained[0].predict_proba(X[TRAIN:])
    assert np.array_equal(probabilities, (alone[0] + alone[1]) / 2)
    assert np.array_equal(trained[0].predict(X[TRAIN:]), np.unique(y)[probabilities.argmax(axis=1)])


def test_the_columns_it_was_given_stay_unfitted(trained):
    assert not any(hasattr(column, "classes_") for column in trained[0].columns)
    assert trained[0].columns_[0] is not trained[0].columns[0]


def test_progress_counts_the_steps_of_all_columns_and_can_be_judged(trained):
    reports = [report for report, _ in trained[1]]
    totals = {total for _, total, _ in reports}
    assert len(totals) == 1
    done = [done for done, _, _ in reports]
    assert done == sorted(done)
    assert done[-1] == totals.pop()
    assert np.array_equal(trained[1][-1][1], trained[0].predict_proba(load_digits().data[TRAIN:] / 16))


def test_it_names_its_engine_and_pickles(trained, odd_digits):
    committee, X = trained[0], odd_digits[0]
    assert committee.engine_.startswith("keras 3.")
    assert committee.device_
    again = pickle.loads(pickle.dumps(committee))
    assert np.array_equal(again.predict_proba(X), committee.predict_proba(X))


def test_its_seed_gives_each_network_a_seed_of_its_own(odd_digits):
    X, y = odd_digits[0][:200], odd_digits[1][:200]
    alike = [network(1), make_pipeline(MinMaxScaler(), network(1))]
    first, second = (Committee(alike, seed=5).fit(X, y) for _ in range(2))
    seeds = [first.columns_[0].seed, first.columns_[1][-1].seed]
    assert len({1, *seeds}) == 3
    assert seeds == [second.columns_[0].seed, second.columns_[1][-1].seed]


def test_no_columns_are_refused(odd_digits):
    with pytest.raises(ValueError, match="columns is empty"):
        Committee([]).fit(*odd_digits)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [Committee([NeuralClassifier(DenseLayers(), Training(batch_size=16, min_steps=150), seed=0)])],
    expected_failed_checks=lambda _: NOT_TO_THE_LAST_BIT,
)
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)
