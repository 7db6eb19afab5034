"""An ensemble: its weights come from the hold-out and are the best there, its scores from what is stored."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from support.synthetic_runs import Model, dataset, make_run, true_labels

from mnistbench.analysis.ensemble import (
    FILE,
    choose_ensemble,
    pool_weights,
    pooled,
    store_ensemble,
    stored_ensemble,
)
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.report import write_report
from mnistbench.verify import verify

MODELS = {
    "cnn": Model(0.02, 20, confidence=0.9),
    "mlp": Model(0.04, 10, confidence=0.9),
    "svm": Model(0.03, 5, probabilities=False),
}
DATA = dataset(test_count=300)


def pair(place, models=MODELS, seeds=(0, 1)):
    """Make a run on test images and a validation run, which here have the same images."""
    folder = make_run(place, models, name="record", data=DATA, seeds=seeds)
    return folder, [
        make_run(place, models, name="record-validation", data=DATA, seeds=seeds, split="validation")
    ]


@st.composite
def problems(draw):
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    models, n, k = draw(st.integers(2, 5)), draw(st.integers(5, 60)), draw(st.integers(2, 4))
    truth = generator.integers(0, k, n)
    skill = generator.uniform(0, 4, (models, 1, 1))
    raw = np.exp(generator.normal(size=(models, n, k)) + skill * np.eye(k)[truth])
    return raw / raw.sum(axis=2, keepdims=True), truth, k


def loss(weights, probabilities, truth):
    powers = np.prod(probabilities ** np.reshape(weights, (-1, 1, 1)), axis=0)
    return -np.log((powers / powers.sum(axis=1, keepdims=True))[np.arange(len(truth)), truth]).mean()


@settings(max_examples=30)
@given(problems())
def test_weights_are_as_good_as_an_independent_solver_finds(problem):
    probabilities, truth, k = problem
    weights = pool_weights(probabilities, truth, range(k))
    count = len(probabilities)
    assert weights.min() >= 0
    found = minimize(
        loss,
        np.full(count, 1 / count),
        (probabilities, truth),
        method="Nelder-Mead",
        bounds=[(0, 100)] * count,
    )
    assert loss(weights, probabilities, truth) <= found.fun + 1e-4
    alone = [loss(one, probabilities, truth) for one in np.eye(count)]
    assert loss(weights, probabilities, truth) <= min(alone) + 1e-6


def test_a_pool_is_a_geometric_mean_in_which_nobody_has_a_veto():
    votes = [np.array([[0.8, 0.2]]), np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]])]
    assert pooled([0.5, 0.5, 0.0], votes) == pytest.approx(np.array([[2 / 3, 1 / 3]]))
    assert pooled([2.0, 0.0, 0.0], votes) == pytest.approx(np.array([[16 / 17, 1 / 17]]))
    assert 0 < pooled([0.5, 0.0, 0.5], votes)[0, 0] < 0.01


def test_models_that_know_nothing_get_equal_weights(tmp_path):
    models = {name: Model(0.99, number, confidence=0.9) for number, name in enumerate("ab")}
    ensemble = choose_ensemble(*pair(tmp_path, models))
    assert ensemble.sharpness == pytest.approx(0, abs=1e-3)
    assert sum(member.weight for member in ensemble.members) == pytest.approx(1)


def test_models_without_probabilities_take_no_part(tmp_path):
    ensemble = choose_ensemble(*pair(tmp_path))
    assert {member.model for member in ensemble.members} == {"cnn", "mlp"}
    assert ensemble.left_out == ("svm",)
    assert sum(member.weight for member in ensemble.members) == pytest.approx(1)
    assert ensemble.validation_run == "record-validation"


def test_several_hold_outs_count_together_whichever_run_has_a_model(tmp_path):
    folder, validations = pair(tmp_path)
    elsewhere = dataclasses.replace(DATA, holdout="stratified")
    for model, error_rate in (("cnn", 0.3), ("mlp", 0.1)):
        worse = {model: dataclasses.replace(MODELS[model], error_rate=error_rate)}
        validations.append(make_run(tmp_path, worse, name=f"{model}-2", data=elsewhere, split="validation"))
    ensemble = choose_ensemble(folder, validations)

    def votes(model, *runs):
        records = [(run, r) for run in runs for r in run.records() if r.trial.model == model]
        return np.concatenate([run.predictions(r.trial.id).probabilities for run, r in records])

    stacked = [
        votes(model, validations[0], run) for model, run in zip(("cnn", "mlp"), validations[1:], strict=True)
    ]
    weights = pool_weights(np.array(stacked, float), np.tile(true_labels(DATA), 3), DATA.classes)
    assert ensemble.sharpness == pytest.approx(weights.sum(), abs=1e-4)
    shares = {member.model: member.weight for member in ensemble.members}
    assert [shares["cnn"], shares["mlp"]] == pytest.approx(list(weights / weights.sum()), abs=1e-4)
    assert (
        shares["cnn"]
        < 0.5
        < {m.model: m.weight for m in choose_ensemble(*pair(tmp_path / "one")).members}["cnn"]
    )
    assert ensemble.holdout_images == 2 * 300
    store_ensemble(folder, ensemble)
    page = write_report(folder, None).read_text(encoding="utf-8")
    assert "validation runs `record-validation` and `cnn-2` and `mlp-2`." in page
    assert verify(folder, cache=tmp_path / "cache").differences == ()


def test_the_report_scores_it_from_the_stored_predictions(tmp_path):
    folder, validations = pair(tmp_path)
    ensemble = choose_ensemble(folder, validations)
    store_ensemble(folder, ensemble)
    assert stored_ensemble(folder) == ensemble
    text = write_report(folder, None).read_text(encoding="utf-8")
    assert "Excluded: svm." in text
    shown = pd.read_csv(folder.path / "tables" / "ensemble.csv").iloc[0]
    truth, wrong = true_labels(DATA), []
    for seed in (0, 1):
        stored = {
            r.trial.model: folder.predictions(r.trial.id) for r in folder.records() if r.trial.seed == seed
        }
        given = {name: each.probabilities for name, each in stored.items() if each.probabilities is not None}
        mixed = sum(m.weight * np.log(np.maximum(given[m.model], 1e-6)) for m in ensemble.members)
        wrong.append(int((mixed.argmax(axis=1) != truth).sum()))
    assert shown["error_count"] == np.mean(wrong)
    assert shown["seeds"] == 2
    assert 'id="ensemble"' in (folder.path / "report.html").read_text(encoding="utf-8")


def test_verify_chooses_the_weights_again(tmp_path):
    folder, validations = pair(tmp_path)
    store_ensemble(folder, choose_ensemble(folder, validations))
    write_report(folder, None)

    def found():
        return verify(folder, cache=tmp_path / "cache")

    def edit(content):
        (folder.path / FILE).write_text(content, encoding="utf-8")

    assert found().differences == ()
    stored = json.loads((folder.path / FILE).read_text(encoding="utf-8"))
    first, second = stored["members"][:2]
    for part, name, value, words in (
        (first, "weight", first["weight"] + 0.01, "sum to 1"),
        (second, "weight", second["weight"] - 0.01, "ensemble.json: the votes are"),
        (stored, "sharpness", stored["sharpness"] + 0.01, "ensemble.json: the sharpness is"),
        (stored, "sharpness", -1.0, "its sharpness is -1.0"),
    ):
        part[name] = value
        edit(json.dumps(stored))
        assert any(words in line for line in found().differences), words
    edit(json.dumps({**stored, "sharpness": 1.0}))
    validations[0].path.rename(tmp_path / "gone")
    assert any("could not be chosen again" in note for note in found().notes)
    edit("{")
    assert any("ensemble.json cannot be read" in line for line in found().differences)


def test_what_cannot_vote_is_refused(tmp_path):
    folder, validations = pair(tmp_path)
    for run, judge, reason in (
        (validations[0], validations[0], "is a validation run"),
        (folder, folder, f"is not a validation run.*run --validation --results {folder.path.parent}`"),
    ):
        with pytest.raises(UsageError, match=reason):
            choose_ensemble(run, [judge])
    other = dataclasses.replace(DATA, sha256="0" * 64)
    stranger = make_run(tmp_path, MODELS, name="other", data=other, split="validation")
    with pytest.raises(UsageError, match="use different data sets"):
        choose_ensemble(folder, [*validations, stranger])
    alone = make_run(tmp_path, {"cnn": MODELS["cnn"]}, name="alone", data=DATA, split="validation")
    with pytest.raises(UsageError, match="share 1 model with probabilities"):
        choose_ensemble(folder, [alone])
    for path in (validations[0].path / "predictions").glob("*.npz"):
        path.unlink()
    with pytest.raises(MnistbenchError, match="cannot be read"):
        choose_ensemble(folder, validations)
