"""Ridge regression on random Fourier features, block by block."""

import pickle

import numpy as np
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import Ridge

from mnistbench.estimators import ridge
from mnistbench.estimators.ridge import FourierRidge

TRAIN = 1_297


def test_it_learns_and_its_probabilities_follow_the_classes(odd_digits):
    X, y = odd_digits
    model = FourierRidge(300, gamma=0.2, alpha=1e-6, sharpness=8.0, seed=0).fit(X[:TRAIN], y[:TRAIN])
    assert model.score(X[TRAIN:], y[TRAIN:]) > 0.9
    probabilities = model.predict_proba(X[TRAIN:])
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X[TRAIN:]))


def test_it_is_the_ridge_regression_of_scikit_learn_on_the_same_features(odd_digits):
    X, y = odd_digits
    model = FourierRidge(50, gamma=0.2, alpha=1e-3, seed=0).fit(X, y)
    waves = RBFSampler(gamma=0.2, n_components=50, random_state=0).fit(X).transform(X).astype(np.float64)
    plain = Ridge(alpha=1e-3 * len(X), fit_intercept=False).fit(waves, y[:, None] == model.classes_)
    assert np.allclose(model.weights_, plain.coef_.T, rtol=1e-2, atol=1e-3)


def test_blocks_change_nothing_and_each_is_reported(odd_digits, monkeypatch):
    X, y = odd_digits
    whole = FourierRidge(50, gamma=0.2, alpha=1e-3, seed=0).fit(X, y)
    monkeypatch.setattr(ridge, "_BLOCK", 500)
    reports = []
    model = FourierRidge(50, gamma=0.2, alpha=1e-3, seed=0)
    model.on_progress = lambda *report: reports.append(report)
    model.fit(X, y)
    assert reports == [(done, 4, "block") for done in (1, 2, 3, 4)]
    assert np.allclose(model.weights_, whole.weights_, rtol=1e-2, atol=1e-3)


def test_fewer_rows_than_features_make_fewer_features(odd_digits):
    X, y = odd_digits
    model = FourierRidge(300, gamma=0.2, alpha=1e-6, seed=0).fit(X[:40], y[:40])
    assert model.weights_.shape[0] == 40


def test_it_pickles_and_predicts_the_same(odd_digits):
    X, y = odd_digits
    model = FourierRidge(50, gamma=0.2, alpha=1e-3, seed=0).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
