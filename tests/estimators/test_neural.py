"""Keras classifiers keep scikit-learn's contract and learn by their seed alone; committees average them."""

import importlib.util
import itertools
import os
import pickle
import random
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from support.files import peak_bytes

from mnistbench.estimators.blocks import OneBlock
from mnistbench.estimators.distortions import RandomShift
from mnistbench.estimators.neural import Committee, NeuralClassifier, Training, load_keras
from mnistbench.estimators.neural.training import Epochs, _one_cycle

MODELS = Path(__file__).parents[2] / "benchmarks"
TRAIN = 1_297


@dataclass(frozen=True)
class DenseLayers:
    """A function's name in a test's holds its address, which is another one in every process."""

    units: int = 64

    def __call__(self, layers):
        return [layers.Flatten(), layers.Dense(self.units, activation="relu")]


def classifier(image_shape=(8, 8), *, seed=3, precision="auto", backend=None, **training):
    how = Training(**{"batch_size": 64, "distort": RandomShift(1), **training})
    return NeuralClassifier(DenseLayers(), how, image_shape, seed=seed, precision=precision, backend=backend)


@pytest.fixture(scope="module")
def fitted(odd_digits):
    """A classifier fitted on the digits, with its stages, and what it reported while it was."""
    X, y = odd_digits
    estimator, reports = classifier(), []
    estimator.on_progress, estimator.keep_stages = lambda *report: reports.append(report), True
    estimator.fit(X[:TRAIN], y[:TRAIN])
    estimator.on_progress = None
    return estimator, reports


def test_the_last_stage_is_the_model_and_keeping_stages_changes_nothing(odd_digits):
    X, y = odd_digits
    estimator = classifier(average=0.9, epochs=3)
    estimator.keep_stages = True
    before = estimator.fit(X[:TRAIN], y[:TRAIN]).predict_proba(X[TRAIN:])
    first, *_, last = estimator.staged_predict(X[TRAIN:])
    assert np.array_equal(last, estimator.predict(X[TRAIN:]))
    few = list(estimator.staged_predict(X[TRAIN:], stages=[0, len(estimator._stages) - 1]))
    assert np.array_equal(few, [first, last])
    assert np.array_equal(before, estimator.predict_proba(X[TRAIN:]))
    without = classifier(average=0.9, epochs=3).fit(X[:TRAIN], y[:TRAIN])
    assert np.array_equal(without.predict_proba(X[TRAIN:]), before)
    assert list(without.staged_predict(X[TRAIN:])) == []


def test_it_learns(fitted, odd_digits):
    X, y = odd_digits
    assert fitted[0].score(X[TRAIN:], y[TRAIN:]) > 0.88


def test_probabilities_follow_the_classes(fitted, odd_digits):
    estimator, X = fitted[0], odd_digits[0][TRAIN:]
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (len(X), 10)
    assert probabilities.dtype == np.float64
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert estimator.classes_.tolist() == sorted(4 - 3 * digit for digit in range(10))
    assert np.array_equal(estimator.predict(X), estimator.classes_[probabilities.argmax(axis=1)])


def test_a_row_is_predicted_alike_alone_and_among_others(fitted, odd_digits):
    estimator, X = fitted[0], odd_digits[0]
    assert np.allclose(estimator.predict_proba(X[:1]), estimator.predict_proba(X)[:1], atol=5e-3)


def test_each_epoch_is_reported_and_is_a_stage_that_predicts(fitted, odd_digits):
    X, y = odd_digits
    epochs = -(-300 // (TRAIN // 64))
    assert fitted[1] == [(done, epochs, "epoch") for done in range(1, epochs + 1)]
    accuracies = [np.mean(labels == y[TRAIN:]) for labels in fitted[0].staged_predict(X[TRAIN:])]
    assert len(accuracies) == epochs
    assert accuracies[-1] > accuracies[0] + 0.2


def test_the_same_seed_gives_the_same_weights_bit_for_bit(fitted, odd_digits):
    X, y = odd_digits
    again = clone(fitted[0]).fit(X[:TRAIN], y[:TRAIN])
    assert np.array_equal(again.predict_proba(X), fitted[0].predict_proba(X))


def test_another_seed_and_no_seed_give_other_weights(odd_digits):
    X, y = odd_digits
    found = [
        classifier(seed=seed, min_steps=1).fit(X[:200], y[:200]).predict_proba(X[:50])
        for seed in (1, 2, None, None)
    ]
    assert not any(np.allclose(first, second) for first, second in itertools.combinations(found, 2))


def test_fitting_leaves_the_global_generators_alone(odd_digits):
    X, y = odd_digits
    before = random.getstate(), np.random.get_state()[1].tolist()
    classifier(min_steps=1).fit(X[:200], y[:200])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_a_pickle_is_small_and_predicts_the_same(fitted, odd_digits):
    estimator, X = fitted[0], odd_digits[0]
    pickled = pickle.dumps(estimator)
    weights = 4 * (64 * 64 + 64 + 64 * 10 + 10)
    assert weights < len(pickled) < weights + 10_000
    copy = pickle.loads(pickled)
    assert copy.hidden_layers is None
    assert np.array_equal(copy.predict_proba(X), estimator.predict_proba(X))


def test_what_is_not_fitted_pickles_whole():
    assert pickle.loads(pickle.dumps(classifier())).hidden_layers == DenseLayers()


@pytest.mark.parametrize(
    ("precision", "average"),
    [
        *(("float32", 0.9), ("bfloat16", None)),
        *(pytest.param(*both, marks=pytest.mark.slow) for both in (("float32", None), ("bfloat16", 0.9))),
    ],
)
def test_precision_and_averaging_keep_the_accuracy(odd_digits, precision, average):
    X, y = odd_digits
    estimator = classifier(precision=precision, average=average).fit(X[:TRAIN], y[:TRAIN])
    assert estimator.score(X[TRAIN:], y[TRAIN:]) > 0.88
    assert ("bfloat16" in estimator.engine_) == (precision == "bfloat16")


def test_the_average_of_the_weights_is_what_predicts(odd_digits):
    """An average so slow that it has hardly left the first step's weights predicts like an untrained net."""
    X, y = odd_digits
    slow = classifier(average=0.99999).fit(X[:TRAIN], y[:TRAIN])
    assert slow.score(X[TRAIN:], y[TRAIN:]) < 0.6


def build(name, **arguments):
    return runpy.run_path(str(MODELS / f"{name}.py"))["build"](keras={"seed": 0}, **arguments)


def noisy_images(shape, classes):
    """Forty images a class, near its mean."""
    draw = np.random.default_rng(0)
    y = np.arange(40 * classes) % classes
    means = draw.random((classes, *shape))
    if shape == (1, 1):
        means = np.linspace(0.2, 0.8, classes).reshape(-1, 1, 1)
    X = np.clip(means[y] + draw.normal(0, 0.05, (len(y), *shape)), 0, 1).astype(np.float32)
    return X.reshape(len(y), -1), y


@pytest.mark.parametrize("name", ["mlp", "cnn"])
@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        *(((5, 9), 2), ((1, 1), 2)),
        *(pytest.param(*images, marks=pytest.mark.slow) for images in (((8, 8), 10), ((40, 33), 32))),
    ],
)
def test_the_model_files_take_any_size_and_any_number_of_classes(name, shape, classes):
    X, y = noisy_images(shape, classes)
    estimator = build(name, image_shape=shape, shift=0)
    assert estimator.fit(X, y).score(X, y) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_record", "cnn_record"])
@pytest.mark.parametrize(("shape", "classes"), [((8, 8), 10), ((5, 9), 2), ((24, 33), 3)])
def test_the_record_recipes_take_any_size_and_any_number_of_classes(name, shape, classes):
    X, y = noisy_images(shape, classes)
    estimator = build(name, image_shape=shape, seed=0, epochs=1)
    assert estimator.fit(X, y).score(X, y) > 0.8


def test_shifted_copies_are_averaged_into_the_prediction(fitted, odd_digits):
    """The mean of the logits is, up to scale, the geometric mean of the probabilities."""
    estimator, images = fitted[0], odd_digits[0][:30].reshape(-1, 8, 8)
    views = [images]
    for moves in (((0, 1), (0, 0)), ((1, 0), (0, 0)), ((0, 0), (0, 1)), ((0, 0), (1, 0))):
        padded = np.pad(images, [(0, 0), *moves])
        (_, below), (_, after) = moves
        views.append(padded[:, below : below + 8, after : after + 8])
    mean = np.exp(np.mean([np.log(estimator.predict_proba(view.reshape(30, -1))) for view in views], axis=0))
    averaging = pickle.loads(pickle.dumps(estimator)).set_params(test_shift=1)
    averaged = averaging.predict_proba(odd_digits[0][:30])
    assert np.allclose(averaged, mean / mean.sum(1, keepdims=True))
    assert not np.allclose(averaged, estimator.predict_proba(odd_digits[0][:30]))


def test_sharpness_is_an_exponent_of_the_probabilities(fitted, odd_digits):
    estimator, X = fitted[0], odd_digits[0][:30]
    probabilities = estimator.predict_proba(X)
    sharp = pickle.loads(pickle.dumps(estimator)).set_params(sharpness=2.0)
    squares = probabilities**2
    assert np.allclose(sharp.predict_proba(X), squares / squares.sum(axis=1, keepdims=True))
    assert np.array_equal(sharp.predict(X), estimator.predict(X))


def test_without_an_image_shape_images_are_one_pixel_high(odd_digits):
    X, y = odd_digits
    estimator = classifier(image_shape=None, distort=None).fit(X[:TRAIN], y[:TRAIN])
    assert estimator.score(X[TRAIN:], y[TRAIN:]) > 0.88


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"image_shape": (7, 8)}, ValueError, "64 pixels a row; image_shape is \\(7, 8\\)"),
        ({"precision": "float16"}, ValueError, "expected 'auto', 'float32' or 'bfloat16'"),
        ({"backend": "theano"}, ValueError, "expected one of tensorflow, torch, jax"),
        ({"backend": "torch"}, RuntimeError, "already runs on tensorflow.*start a new one"),
    ],
)
def test_what_cannot_be_done_is_refused(odd_digits, settings, error, text):
    with pytest.raises(error, match=text):
        classifier(**settings).fit(*odd_digits)


@pytest.mark.parametrize(("pixel", "label", "text"), [(0.5, 0, "at least 2 classes"), (np.nan, 1, "NaN")])
def test_one_class_and_pixels_that_are_no_numbers_are_refused(pixel, label, text):
    with pytest.raises(ValueError, match=text):
        classifier().fit(np.full((20, 64), pixel), np.repeat([0, label], 10))


def epochs(count, *, size=1, batch_size=4, min_steps=0, distort=None):
    images = np.arange(size, dtype=np.float32).reshape(-1, 1, 1, 1)
    labels = np.arange(size, dtype=np.int32)
    training = Training(count, batch_size, min_steps=min_steps, distort=distort)
    return Epochs(training, OneBlock(images, labels, 2), np.random.default_rng(0))


def test_an_epoch_has_whole_batches_of_different_images_with_their_labels():
    seen = list(epochs(3, size=11))
    assert len(seen) == 3
    for images, labels in seen:
        assert len(images) == 8
        assert len(set(labels.tolist())) == 8
        assert np.array_equal(images.ravel(), labels)
    assert not np.array_equal(seen[0][1], seen[1][1])


def test_few_images_make_one_batch_and_are_seen_more_often():
    few = epochs(2, size=3, min_steps=50)
    assert (few.batch_size, few.count, few.step_count) == (3, 50, 50)


@pytest.mark.parametrize(
    ("pixels", "hard_epochs", "count"), [([0, 2, 1, 3], 5, 5), ([0, 1, 2, 3], 5, 2), ([0, 2, 1, 3], None, 2)]
)
def test_images_nearer_to_the_mean_of_another_class_are_seen_more_often(pixels, hard_epochs, count):
    images = np.array(pixels, dtype=np.float32).reshape(-1, 1, 1, 1)
    training = Training(2, 2, hard_epochs=hard_epochs, min_steps=0)
    labels = np.array([0, 0, 1, 1], dtype=np.int32)
    assert Epochs(training, OneBlock(images, labels, 2), np.random.default_rng(0)).count == count


def test_each_epoch_is_distorted_from_the_images_as_they_are():
    made = list(epochs(3, size=8, distort=lambda images, generator: images + 100))
    for images, labels in made:
        assert images.shape == (8, 1, 1, 1)
        assert np.array_equal(images.ravel(), labels + 100)


def test_an_epoch_is_gone_before_the_next_is_made():
    images, labels = np.zeros((2_000, 28, 28, 1), np.float32), np.arange(2_000) % 2
    made = iter(
        Epochs(Training(3, distort=RandomShift(1)), OneBlock(images, labels, 2), np.random.default_rng(0))
    )
    _, peak = peak_bytes(lambda: [len(next(made)[0]) for _ in range(3)])
    assert peak < 2.5 * images.nbytes  # in the order of the epoch, and shifted


def test_short_trainings_report_steps():
    every_step = [epochs(2, size=160).progress(step) for step in range(1, 81)]
    assert [report for report in every_step if report] == [(step, 80, "step") for step in range(8, 81, 8)]


def test_the_rate_makes_one_cycle():
    schedule = _one_cycle(load_keras(), 0.01, 0.25, 1_000)
    rates = np.array([float(schedule(step)) for step in range(0, 1_000, 10)])
    assert rates[0] == pytest.approx(0.01 / 25, rel=0.01)
    assert rates.argmax() == 25
    assert rates.max() == pytest.approx(0.01, rel=0.01)
    assert float(schedule(999)) < 1e-7
    assert (np.diff(rates[:25]) > 0).all()
    assert (np.diff(rates[26:]) < 0).all()


def in_new_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_an_error_names_a_backend_that_is_not_installed(backend):
    if importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is installed")
    answer = in_new_process(f"from mnistbench.estimators.neural import load_keras\nload_keras({backend!r})")
    assert answer.returncode == 1
    last = answer.stderr.splitlines()[-1]
    assert last.startswith(("ImportError", "ModuleNotFoundError"))
    assert backend in last


FIT = """
import hashlib, numpy as np, sys
from sklearn.datasets import load_digits
from mnistbench.estimators.distortions import RandomWarp
from mnistbench.estimators.neural import NeuralClassifier, Training, load_keras
keras = load_keras({backend!r}, 2)
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
def net(layers):
    convolution = [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU()]
    return [*convolution, layers.Flatten(), layers.Dropout(0.1)]
training = Training(average=0.9, distort=RandomWarp(rotation=5, elastic=0.2))
model = NeuralClassifier(net, training, (8, 8), seed=7, threads=2)
p = model.fit(X[:1297], y[:1297]).predict_proba(X[1297:])
print(hashlib.sha256(p.tobytes()).hexdigest(), (p.argmax(1) == y[1297:]).mean(), keras.config.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_two_processes_learn_the_same_bit_for_bit(backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    first, second = (in_new_process(FIT.format(backend=backend)) for _ in range(2))
    assert first.returncode == 0, first.stderr
    digest, accuracy, used = first.stdout.split()
    assert used == backend
    assert float(accuracy) > 0.9
    assert second.stdout.split()[0] == digest


def network(seed):
    return NeuralClassifier(
        DenseLayers(32), Training(epochs=2, batch_size=64, min_steps=1), (8, 8), seed=seed
    )


def columns(second_seed=2):
    return [network(1), make_pipeline(MinMaxScaler(), network(second_seed))]


@pytest.fixture(scope="module")
def trained(odd_digits):
    """A committee of two, fitted, and what it reported and predicted meanwhile."""
    X, y = odd_digits
    committee, seen = Committee(columns()), []
    committee.on_progress = lambda *report: seen.append((report, committee.predict_proba(X[TRAIN:])))
    committee.fit(X[:TRAIN], y[:TRAIN])
    committee.on_progress = None
    return committee, seen


def test_a_committee_predicts_the_mean_of_its_networks(trained, odd_digits):
    X, y = odd_digits
    alone = [column.fit(X[:TRAIN], y[:TRAIN]).predict_proba(X[TRAIN:]) for column in columns()]
    probabilities = trained[0].predict_proba(X[TRAIN:])
    assert np.array_equal(probabilities, (alone[0] + alone[1]) / 2)
    assert np.array_equal(trained[0].predict(X[TRAIN:]), np.unique(y)[probabilities.argmax(axis=1)])


def test_the_columns_that_a_committee_was_given_stay_unfitted(trained):
    assert not any(hasattr(column, "classes_") for column in trained[0].columns)
    assert trained[0].columns_[0] is not trained[0].columns[0]


def test_a_committees_progress_counts_the_steps_of_all_columns_and_can_be_judged(trained, odd_digits):
    reports = [report for report, _ in trained[1]]
    totals = {total for _, total, _ in reports}
    assert len(totals) == 1
    done = [done for done, _, _ in reports]
    assert done == sorted(done)
    assert done[-1] == totals.pop()
    assert np.array_equal(trained[1][-1][1], trained[0].predict_proba(odd_digits[0][TRAIN:]))


@pytest.mark.parametrize("estimator", ["fitted", "trained"])
def test_it_names_its_engine_and_device(estimator, request):
    estimator, _ = request.getfixturevalue(estimator)
    assert estimator.engine_.startswith("keras 3.")
    assert "tensorflow 2." in estimator.engine_
    assert estimator.device_


def test_a_committee_pickles(trained, odd_digits):
    committee, X = trained[0], odd_digits[0]
    again = pickle.loads(pickle.dumps(committee))
    assert np.array_equal(again.predict_proba(X), committee.predict_proba(X))


def test_a_committees_seed_gives_each_network_a_seed_of_its_own(odd_digits):
    X, y = odd_digits[0][:200], odd_digits[1][:200]
    first, second = (Committee(columns(second_seed=1), seed=5).fit(X, y) for _ in range(2))
    seeds = [first.columns_[0].seed, first.columns_[1][-1].seed]
    assert len({1, *seeds}) == 3
    assert seeds == [second.columns_[0].seed, second.columns_[1][-1].seed]


def test_a_committee_of_none_is_refused(odd_digits):
    with pytest.raises(ValueError, match="columns is empty"):
        Committee([]).fit(*odd_digits)


# Single precision has 1e-7 to spare, and this check allows no more; on processors without AVX-512 a
# product sums in an order that depends on the row's place, and comes out up to 4e-7 apart.
SMALL = NeuralClassifier(DenseLayers(), Training(batch_size=16, min_steps=150), seed=0)
NOT_TO_THE_LAST_BIT = {"check_methods_sample_order_invariance": "it is held to single precision below"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([SMALL, Committee([SMALL])], expected_failed_checks=lambda _: NOT_TO_THE_LAST_BIT)
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_the_order_of_the_rows_plays_no_part_in_what_is_predicted(fitted, odd_digits):
    estimator, X = fitted[0], odd_digits[0]
    order = np.random.default_rng(0).permutation(len(X))
    straight, shuffled = estimator.predict_proba(X), estimator.predict_proba(X[order])
    assert np.allclose(shuffled, straight[order], rtol=1e-5, atol=1e-6)
    assert np.array_equal(estimator.predict(X[order]), estimator.predict(X)[order])
