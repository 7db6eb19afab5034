"""The support vector machine of two libraries, and the probabilities of one machine a class."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.svm import SVC
from support.python import run_python

from mnistbench.estimators.svm import OneVsRest, rbf_svc


def clusters(classes):
    """Thirty rows a class around a corner of its own."""
    y = np.arange(30 * classes) % classes
    X = np.eye(classes)[y] + np.random.default_rng(0).normal(0, 0.1, (len(y), classes))
    return X.astype(np.float32), y


def test_it_is_an_svc_with_an_rbf_kernel_of_so_many_threads():
    machine = rbf_svc(3.0, 0.5, 2)
    parameters = machine.get_params()
    assert (parameters["C"], parameters["gamma"], parameters["kernel"]) == (3.0, 0.5, "rbf")
    assert parameters.get("n_jobs", 2) == 2
    X, y = clusters(3)
    assert np.array_equal(machine.fit(X, y).predict(X), SVC(C=3.0, gamma=0.5).fit(X, y).predict(X))


def test_without_scikit_learn_intelex_it_is_scikit_learns():
    code = (
        "sys.modules['sklearnex'] = None\n"
        "from mnistbench.estimators.svm import rbf_svc\n"
        "print(type(rbf_svc(1.0, 'scale', 2)).__module__)"
    )
    assert run_python(code).stdout.strip() == "sklearn.svm._classes"


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_follow_the_decisions(classes):
    X, y = clusters(classes)
    model = OneVsRest(SVC(), sharpness=3.0).fit(X, y)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (len(X), classes)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    softer = OneVsRest(SVC()).fit(X, y).predict_proba(X)
    assert np.all(softer.max(axis=1) < probabilities.max(axis=1))


def test_it_is_cloned_and_pickled_with_its_parameters():
    X, y = clusters(3)
    model = OneVsRest(rbf_svc(1.0, "scale", 1), sharpness=2.0).fit(X, y)
    assert clone(model).sharpness == 2.0
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))
