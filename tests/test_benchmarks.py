"""The suite's own models: each works on any images and labels, and learns what it is meant to learn."""

import re
from dataclasses import replace

import pytest
from support.trials import write_dataset

from mnistbench.analysis.correctness import most_frequent_share
from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.errors import DataError
from mnistbench.execution.isolation import run_trial
from mnistbench.machine import usable_cores
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.trials import read_suites
from mnistbench.runs.records import Status

MODELS = discover([builtin_folder()])
STANDARD = ("logreg", "svm", "rf", "xgboost", "mlp", "cnn")
# Accuracy on the MNIST test images after 2,000 training images: what a run reached, less about 1.5 points.
# (logreg 88.7, svm 93.4, rf 91.0, xgboost 89.7, mlp 92.5, cnn 96.7 with seed 0.)
FLOORS = {"logreg": 0.865, "svm": 0.92, "rf": 0.89, "xgboost": 0.875, "mlp": 0.90, "cnn": 0.94}
# The recipes of the record suite, with less of what only costs time.
RECORD = {
    "logreg_record": {"features": 200},
    "svm_record": {},
    "rf_record": {"copies": 1, "trees": 20},
    "xgboost_record": {"copies": 1, "rounds": 10},
    "mlp_record": {"copies": 1},
    "cnn_record": {"epochs": 1},
    "ridge_record": {"features": 200},
}
# The further families of the suite families, with less of what only costs time.
FAMILIES = {
    "gaussian_nb": {},
    "ridge": {},
    "lda": {},
    "linear_svm": {},
    "decision_tree": {},
    "extra_trees": {"trees": 20},
    "lightgbm": {"rounds": 10},
    "hist_gradient_boosting": {"rounds": 10},
    "knn": {},
    "pca_qda": {},
    "random_fourier_ridge": {"features": 500},
    "nystroem_svm": {"features": 200},
}
GAPS = tuple(sorted({4, 7, 9, *range(13, 62, 2), 14, 22, 38, 60}))


def fitted(make_job, name, dataset, **trial):
    """Run one of the suite's models in its process and return the record."""
    job = make_job(MODELS[name].path, dataset=dataset, timeout_seconds=200, **trial)
    # Beside other tests, fewer threads are many times faster than threads that wait for each other.
    outcome = run_trial(replace(job, fixed_threads=False), usable_cores()[: job.trial.threads])
    assert outcome.status is Status.OK, (outcome.failure, outcome.log[-2000:])
    return outcome.record(job, beside=0)


@pytest.fixture(scope="module")
def gaps(tmp_path_factory):
    """Many classes whose numbers have gaps, and images that are small and not square."""
    assert len(GAPS) >= 32
    folder = tmp_path_factory.mktemp("gaps")
    return write_dataset(folder, GAPS[:32], train_count=960, test_count=320, image_shape=(12, 9))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two classes with negative and large numbers."""
    return write_dataset(tmp_path_factory.mktemp("pair"), (-5, 1000), train_count=200, image_shape=(10, 14))


@pytest.fixture(scope="module")
def mnist():
    try:
        return resolve("mnist", cache=cache_folder(), offline=True)
    except DataError as error:
        pytest.skip(f"MNIST is not in the cache: {error}")


def test_the_standard_suite_is_the_six_classifiers_on_all_images():
    suite = read_suites(builtin_folder() / "suites.toml")["standard"]
    assert suite.models == STANDARD
    assert suite.train_sizes == (None,)


def test_the_record_suite_has_a_recipe_of_each_family():
    suite = read_suites(builtin_folder() / "suites.toml")["record"]
    assert set(suite.models) == set(RECORD)
    assert {name.removesuffix("_record") for name in suite.models} == {*STANDARD, "ridge"}


def test_the_families_suite_is_the_six_the_further_families_and_the_most_frequent_class():
    suite = read_suites(builtin_folder() / "suites.toml")["families"]
    assert set(suite.models) == {"dummy", *FAMILIES, *STANDARD}
    assert suite.train_sizes == (None,)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("images", ["gaps", pytest.param("pair", marks=pytest.mark.slow)])
def test_a_further_family_takes_any_images_and_classes(make_job, request, images, name):
    if name == "lightgbm":
        pytest.importorskip("lightgbm", reason="an extra")
    record = fitted(make_job, name, request.getfixturevalue(images), parameters=FAMILIES[name])
    assert record.quality.accuracy > 0.6
    assert record.measurement.warnings == ()


def test_dummy_is_right_as_often_as_the_most_frequent_class(make_job, gaps):
    record = fitted(make_job, "dummy", gaps)
    assert record.quality.accuracy == most_frequent_share(open_arrays(gaps.arrays_folder).y_test)
    assert record.quality.log_loss < 4  # the classes' shares, not certainty


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORD)
def test_a_record_recipe_takes_any_images_and_classes_and_gives_probabilities(make_job, gaps, name):
    record = fitted(make_job, name, gaps, parameters=RECORD[name])
    assert (
        record.quality.accuracy > 0.6
    )  # 30 images a class, which are noise around a mean: nothing to deskew
    assert record.quality.log_loss is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svm_record", "ridge_record"])
def test_a_record_recipe_takes_two_classes(make_job, pair, name):
    record = fitted(make_job, name, pair, parameters=RECORD[name])
    assert record.quality.accuracy > 0.6
    assert record.quality.log_loss is not None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "mlp")) for name in STANDARD]
)
def test_thirty_two_classes_with_gaps_just_work_and_the_library_that_did_it_is_named(make_job, gaps, name):
    record = fitted(make_job, name, gaps)
    assert record.quality.accuracy > 0.9
    library = {"xgboost": "xgboost", "mlp": "keras", "cnn": "keras"}.get(name, "scikit-learn")
    assert re.match(rf"{library}.* \d", record.measurement.engine)


@pytest.mark.slow
@pytest.mark.parametrize("name", STANDARD)
def test_two_classes_just_work(make_job, pair, name):
    record = fitted(make_job, name, pair)
    assert record.quality.accuracy > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", STANDARD)
def test_two_thousand_images_of_mnist_teach_what_they_should(make_job, mnist, name):
    record = fitted(make_job, name, mnist, train_size=2000, threads=len(usable_cores()))
    assert record.quality.accuracy >= FLOORS[name]
    assert record.quality.test_count == 10_000
    assert record.measurement.train_images == 2000
