"""The gallery holds the images that models get wrong, as the stored predictions say, and only those."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from support.synthetic_runs import Model, arrays, dataset, make_run, run_with, true_labels

from mnistbench.analysis.configurations import configurations
from mnistbench.datasets.cache import store
from mnistbench.errors import MnistbenchError
from mnistbench.report import write_report
from mnistbench.report.gallery import by_cell, gallery, wanted
from mnistbench.report.pictures import pictures
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import encode_predictions

MODELS = {"a": Model(0.05), "b": Model(0.1, probabilities=False), "c": Model(0.3)}


def of(folder: RunFolder, **changes):
    info = folder.info()
    rows = configurations(info, folder.records())
    truth = true_labels(info.dataset)
    return (
        gallery(folder, rows, truth, info.dataset.classes, **{"is_mnist_test": False, **changes}),
        truth,
        rows,
    )


def predict(folder: RunFolder, labels: dict[str, list[int]], probabilities=None) -> None:
    """Replace what the models of a run with one seed have predicted."""
    for record in folder.records():
        given = labels[record.trial.model]
        folder.write(f"predictions/{record.trial.id}.npz", encode_predictions(np.array(given), probabilities))


def three(tmp_path):
    """Return a run of three models on six images of two classes, predicted by hand."""
    data = dataset((3, 8), test_count=6)
    folder = make_run(tmp_path, {"a": Model(0.1), "b": Model(0.2), "c": Model(0.3)}, data=data)
    folder.write("labels.npz", encode_predictions(np.array([3, 3, 3, 8, 8, 8]), None))
    predict(folder, {"a": [3, 3, 8, 8, 8, 8], "b": [3, 8, 8, 8, 3, 8], "c": [3, 8, 8, 8, 8, 3]})
    rows = configurations(folder.info(), folder.records())
    truth = np.array([3, 3, 3, 8, 8, 8])
    return folder, rows, truth


def test_the_gallery_knows_which_models_get_which_images_wrong(tmp_path):
    folder, rows, truth = three(tmp_path)
    found = gallery(folder, rows, truth, (3, 8), is_mnist_test=False)
    order = {label: i for i, label in enumerate(found.labels)}
    assert found.all_wrong == (2,)
    assert found.only_right == ((1, "a"),)
    expected = {("a", "a"): 1, ("b", "b"): 3, ("c", "c"): 3, ("a", "b"): 1, ("a", "c"): 1, ("b", "c"): 2}
    for (one, other), count in expected.items():
        assert found.overlap[order[one], order[other]] == count
        assert found.overlap[order[other], order[one]] == count
    assert found.oracle_accuracy == pytest.approx(5 / 6)
    assert found.majority_accuracy == pytest.approx(4 / 6)
    assert found.confident == {}
    assert {(m.image, m.true_label, m.predicted_label) for m in found.mistakes["b"]} == {
        (1, 3, 8),
        (2, 3, 8),
        (4, 8, 3),
    }
    assert all(m.confidence is None and m.fits == 1 for m in found.mistakes["b"])
    assert set(by_cell(found.mistakes["b"])) == {(3, 8), (8, 3)}


def test_a_tied_vote_counts_half_whoever_comes_first(tmp_path):
    data = dataset((3, 8), test_count=4)
    folder = make_run(tmp_path, {"a": Model(), "b": Model()}, data=data)
    predict(folder, {"a": [3, 3, 8, 8], "b": [3, 8, 8, 3]})
    rows = configurations(folder.info(), folder.records())
    for order in (rows, rows[::-1]):
        found = gallery(folder, order, np.array([3, 3, 8, 3]), (3, 8), is_mnist_test=False)
        assert found.majority_accuracy == pytest.approx((1 + 0.5 + 1 + 0.5) / 4)


def test_confidence_is_the_probability_of_the_answer(tmp_path):
    data = dataset((3, 8, 9), test_count=3)
    folder = make_run(tmp_path, {"a": Model()}, data=data)
    # The labels are not always the most probable class, as with the Platt scaling of an SVM.
    given = np.array([[0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]])
    predict(folder, {"a": [8, 8, 9]}, given)
    rows = configurations(folder.info(), folder.records())
    found = gallery(folder, rows, np.array([3, 3, 3]), (3, 8, 9), is_mnist_test=False)
    shown = [(m.image, m.predicted_label, round(m.confidence, 3)) for m in found.confident["a"]]
    assert shown == [(2, 9, 0.9), (1, 8, 0.7), (0, 8, 0.4)]


def test_mistakes_add_up_to_the_records(tmp_path):
    folder = run_with(tmp_path, arrays(), MODELS, seeds=(0, 1, 2))
    found, _, rows = of(folder)
    assert len(found.labels) == 3
    for row in rows:
        errors = sum(record.quality.error_count for record in row.by_seed)
        assert sum(m.fits for m in found.mistakes[row.label]) == errors
        position = found.labels.index(row.label)
        assert found.overlap[position, position] == row.by_seed[0].quality.error_count
    assert set(found.confident) == {"a", "c"}


@pytest.mark.parametrize("harm", ["missing", "damaged", "of other images"])
def test_a_model_without_its_predictions_is_left_out(tmp_path, harm):
    folder = run_with(tmp_path, arrays(), MODELS)
    record = next(r for r in folder.records() if r.trial.model == "a")
    path = folder.path / "predictions" / f"{record.trial.id}.npz"
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"x" if harm == "damaged" else encode_predictions(np.array([1, 2]), None))
    assert set(of(folder)[0].labels) == {"b", "c"}


def test_label_errors_are_marked_for_mnist_alone(tmp_path):
    folder = run_with(tmp_path, arrays(), MODELS)
    assert 947 in of(folder, is_mnist_test=True)[0].label_errors
    assert not of(folder)[0].label_errors


def test_pictures_come_from_the_cache_and_are_kept(tmp_path):
    images = arrays()
    folder = run_with(tmp_path, images, MODELS)
    shown, _, _ = of(folder)
    cache = tmp_path / "cache"
    assert pictures(folder, folder.info(), shown, cache) is None
    store(images, cache / "mnist", "a test")
    made = pictures(folder, folder.info(), shown, cache)
    assert set(made.index) == set(wanted(shown))
    assert len(set(made.index)) == len(made.index)
    assert (made.pixels == images.x_test[list(made.index)]).all()
    shutil.rmtree(cache)
    kept = pictures(folder, folder.info(), shown, cache)
    assert kept.index == made.index
    assert (kept.pixels == made.pixels).all()


def test_images_of_another_data_set_are_not_drawn(tmp_path):
    folder = run_with(tmp_path, arrays(), MODELS)
    other = arrays(shape=(27, 28))
    store(other, tmp_path / "cache" / "mnist", "a test")
    assert pictures(folder, folder.info(), of(folder)[0], tmp_path / "cache") is None


def test_validation_images_are_the_last_training_images(tmp_path):
    images = arrays()
    folder = run_with(tmp_path, images, MODELS, split="validation")
    store(images, tmp_path / "cache" / "mnist", "a test")
    made = pictures(folder, folder.info(), of(folder)[0], tmp_path / "cache")
    assert (made.pixels == images.x_train[-200:][list(made.index)]).all()


@pytest.mark.parametrize("shape", [(300, 200), (57, 3), (1, 1), (28, 28)])
def test_large_images_are_made_smaller(tmp_path, shape):
    images = arrays(60, shape)
    folder = run_with(tmp_path, images, MODELS)
    store(images, tmp_path / "cache" / "mnist", "a test")
    made = pictures(folder, folder.info(), of(folder)[0], tmp_path / "cache")
    assert max(made.pixels.shape[1:]) <= 56
    assert made.pixels.size <= 1_200_000
    assert len(made.index)


def test_the_sheet_holds_every_picture_at_its_place(tmp_path):
    images = arrays()
    folder = run_with(tmp_path, images, MODELS)
    store(images, tmp_path / "cache" / "mnist", "a test")
    made = pictures(folder, folder.info(), of(folder)[0], tmp_path / "cache")
    png, columns = made.sheet()
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    for where, picture in enumerate(made.pixels):
        y, x = 28 * (where // columns), 28 * (where % columns)
        assert (sheet[y : y + 28, x : x + 28] == picture).all()


@pytest.mark.parametrize("content", [b"", b"no npz", encode_predictions(np.array([1]), None)])
def test_an_error_names_damaged_images(tmp_path, content, monkeypatch):
    monkeypatch.setenv("MNISTBENCH_CACHE", str(tmp_path / "cache"))
    folder = run_with(tmp_path, arrays(), MODELS)
    folder.write("images.npz", content)
    with pytest.raises(MnistbenchError, match=r"images\.npz cannot be read: .* Delete it"):
        write_report(folder, None)
