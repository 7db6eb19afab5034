"""Logistic regression on one core: scikit-learn's results, and no second thread of BLAS."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from mnistbench.estimators.logistic import SerialLogisticRegression


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32)[:600] / 16, y[:600]


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_it_predicts_as_the_class_it_extends(digits):
    X, y = digits
    model, plain = SerialLogisticRegression(C=0.5).fit(X, y), LogisticRegression(C=0.5).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-3)
    copy = pickle.loads(pickle.dumps(clone(model).fit(X, y)))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


def test_blas_has_one_thread_during_the_fit_and_its_own_number_afterwards(digits, monkeypatch):
    seen = []
    monkeypatch.setattr(LogisticRegression, "fit", lambda *_: seen.append(blas_threads()))
    before = blas_threads()
    SerialLogisticRegression().fit(*digits)
    assert seen == [[1] * len(before)]
    assert blas_threads() == before != []
