"""A run loaded in Python: frames with what they promise, and a view that no name can break."""

import numpy as np
import pytest
from support.python import loaded_by
from support.synthetic_runs import Model, dataset, make_run, true_labels, with_copies

import mnistbench
from mnistbench.analysis.ensemble import choose_ensemble, store_ensemble
from mnistbench.analysis.run import COLUMNS, FRAMES, NUMBERED_COLUMNS
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.errors import UsageError
from mnistbench.runs.records import Expected, Forecast, Published

PUBLISHED = (Published(0.9906, "A table"),)
MODELS = {
    "cnn": Model(0.02, 20, published=PUBLISHED),
    "svm": Model(0.03, 5, probabilities=False),
    "mlp": Model(0.04, 9),
}
FORECAST = Forecast(*(Expected(value, value, value) for value in (9.0, 12.0, 6e8)), "this machine")
DATA = dataset(test_count=200, groups_sha256="0" * 64, group_noun="writer", strata=("employees", "students"))
WRITERS = EvaluationGroups(np.arange(200) // 8, np.arange(200) // 100, np.arange(200) < 16)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("results")
    folder = make_run(place, MODELS, data=DATA, groups=WRITERS, serving=True, learning=True, calibrated=True)
    validation = make_run(place, MODELS, data=DATA, name="validation", split="validation")
    store_ensemble(folder, choose_ensemble(folder, [validation]))
    return mnistbench.load_run(folder.path)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    sizes = (300, 600, 90_000)
    folder = make_run(tmp_path_factory.mktemp("grown"), MODELS, train_sizes=sizes, forecast=FORECAST)
    return mnistbench.load_run(with_copies(folder).path)


def test_every_frame_is_there_and_described(run, grown):
    assert {*run.frames, *grown.frames} == set(FRAMES)


def test_every_column_is_described_and_no_other(run, grown):
    described = {
        column: text
        for each in (run, grown)
        for name in each.frames
        for column, text in each.columns(name).items()
    }
    assert all(described.values())
    assert set(COLUMNS) == {c for c in described if not c.startswith(tuple(NUMBERED_COLUMNS))}
    assert "99.4 %" in run.columns("time_to_accuracy")["seconds_to_994"]
    assert "100 at a time" in run.columns("serving")["images_per_second_100"]
    with pytest.raises(UsageError, match=r"no frame named 'trial'.*Did you mean"):
        run.columns("trial")


def test_frames_hold_the_numbers_of_the_records(run):
    trials = run.frames["trials"].set_index("id")
    for record in run.records:
        assert trials.loc[record.trial.id, "accuracy"] == record.quality.accuracy
        assert trials.loc[record.trial.id, "fit_seconds"] == record.measurement.fit_seconds
    assert run.frames["results"]["row"].tolist()[0] == "cnn"
    assert run.info.dataset.title == "MNIST"
    assert "cnn leads" in run.headline


def test_predictions_come_with_the_truth(run):
    trials = run.frames["trials"].set_index("model")
    frame = run.predictions(trials.loc["cnn", "id"])
    assert frame["true_label"].to_numpy().tolist() == true_labels(DATA).tolist()
    assert frame["correct"].mean() == trials.loc["cnn", "accuracy"]
    shares = frame[[f"probability_{label}" for label in DATA.classes]].to_numpy()
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert "probability_0" not in run.predictions(trials.loc["svm", "id"])
    with pytest.raises(UsageError, match="no predictions of a trial 'none'"):
        run.predictions("none")


def test_a_notebook_shows_names_as_text(tmp_path):
    data = dataset(test_count=50, title="<script>alert(1)</script>\x1b[2J")
    shown = mnistbench.load_run(make_run(tmp_path, {"<b>bold</b>": Model()}, data=data).path)._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown
    assert "\x1b" not in shown


def test_a_missing_run_is_reported_plainly(tmp_path):
    with pytest.raises(UsageError, match="there is no run named"):
        mnistbench.load_run(tmp_path)


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import mnistbench", "pandas", "numpy", "matplotlib") == set()
