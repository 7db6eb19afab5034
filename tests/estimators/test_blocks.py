"""Training by blocks: the same models as from memory, as far as their recipes allow."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from mnistbench.estimators.blocks import fit_by_blocks, learns_by_blocks
from mnistbench.estimators.boosting import BoostedTrees
from mnistbench.estimators.logistic import SerialLogisticRegression
from mnistbench.estimators.neural import NeuralClassifier, Training
from mnistbench.estimators.preprocessing import edge_pipeline

DRAW = np.random.default_rng(3)
MEANS = DRAW.uniform(0, 1, (4, 36)).astype(np.float32)


def draw(count, classes):
    labels = DRAW.integers(0, classes, count)
    return np.float32(MEANS[labels] + DRAW.normal(0, 0.5, (count, 36))), labels


class Blocks:
    """Blocks of 100 rows and a smaller last one, in memory; counts how many are read."""

    def __init__(self, rows, labels):
        self.parts = [(rows[at : at + 100], labels[at : at + 100]) for at in range(0, len(rows), 100)]
        self.sizes = [len(part) for _, part in self.parts]
        self.class_count = int(labels.max()) + 1
        self.read = []

    def __getitem__(self, number):
        self.read.append(number)
        rows, labels = self.parts[number]
        return rows.copy(), labels.copy()


def hidden_layers(layers):
    return [layers.Flatten(), layers.Dense(16, activation="relu")]


def network():
    return NeuralClassifier(hidden_layers, Training(epochs=3, batch_size=32), (6, 6), seed=1)


def trees():
    return BoostedTrees(n_estimators=12, max_depth=3, max_bin=16, missing=0, n_jobs=1, random_state=0)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    ("build", "alike"),
    [
        (lambda: SerialLogisticRegression(C=0.2, tol=1e-6, max_iter=500), 1e-3),
        (GaussianNB, 0.01),
        (trees, 0.35),
        (network, 0.35),
    ],
    ids=["logreg", "gaussian_nb", "xgboost", "network"],
)
def test_training_by_blocks_gives_the_probabilities_of_training_in_memory(build, alike, classes):
    rows, labels = draw(764, classes)
    unseen, truth = draw(400, classes)
    blocks, by_blocks, in_memory = Blocks(rows, labels), build(), build().fit(rows, labels)
    assert learns_by_blocks(by_blocks)
    fit_by_blocks(by_blocks, blocks)
    assert set(blocks.read) == set(range(8))
    ours, theirs = by_blocks.predict_proba(unseen), in_memory.predict_proba(unseen)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < alike
    accuracies = [np.mean(each.predict(unseen) == truth) for each in (by_blocks, in_memory)]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.02)
    assert min(accuracies) > 0.85
    assert by_blocks.predict(unseen).dtype.kind == "i"


def test_the_steps_of_a_pipeline_are_fitted_to_the_first_block_and_prepare_every_block():
    rows, labels = draw(730, 4)
    rows[:100, 5] = 1
    pipeline = make_pipeline(VarianceThreshold(), PCA(8, random_state=0), SGDClassifier(random_state=0))
    fit_by_blocks(pipeline, Blocks(rows, labels))
    assert not pipeline[0].get_support()[5]
    expected = PCA(8, random_state=0).fit(pipeline[0].transform(rows[:100]))
    np.testing.assert_allclose(pipeline[1].components_, expected.components_)
    assert np.mean(pipeline.predict(rows) == labels) > 0.9


def test_what_cannot_learn_by_blocks_says_so():
    assert not learns_by_blocks(SVC())
    assert not learns_by_blocks(make_pipeline(PCA(), SVC()))
    # It makes copies of its images when it is fitted.
    assert not learns_by_blocks(edge_pipeline((28, 28), 0.7, GaussianNB()))


def test_progress_is_reported_as_in_memory():
    rows, labels = draw(730, 4)
    for build, total in ((trees, 12), (network, 15)):
        reports = []
        model = build()
        model.on_progress = lambda *report, reports=reports: reports.append(report)
        fit_by_blocks(model, Blocks(rows, labels))
        assert [report[0] for report in reports] == list(range(1, total + 1))
        assert {report[1] for report in reports} == {total}
