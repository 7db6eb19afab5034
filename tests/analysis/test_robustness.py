"""The chapter on corrupted images: its numbers follow from stored predictions, and `verify` finds edits."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from support.synthetic_runs import Model, make_run, run_with, true_labels, with_copies
from support.synthetic_runs import arrays as images_of

from mnistbench.datasets.cache import store
from mnistbench.datasets.corruptions import CORRUPTIONS, conditions
from mnistbench.report import write_report
from mnistbench.runs.predictions import decode_predictions, encode_predictions
from mnistbench.verify import verify

MODELS = {"logreg": Model(0.1, 2), "cnn": Model(0.02, 5), "forest": Model(0.05, 5, probabilities=False)}


def calibration_error(confidence, right):
    """Compute the gap between accuracy and confidence in 15 bins, image by image."""
    bins = {}
    for sure, is_right in zip(confidence.astype(float), right, strict=True):
        bins.setdefault(max(math.ceil(sure * 15), 1), []).append((sure, is_right))
    return sum(abs(sum(r for _, r in b) - sum(s for s, _ in b)) for b in bins.values()) / len(right)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = with_copies(make_run(tmp_path_factory.mktemp("results"), MODELS, seeds=(0, 1)))
    write_report(made, None)
    return made


def test_every_number_follows_from_the_stored_predictions(folder):
    truth = true_labels(folder.info().dataset)
    table = pd.read_csv(folder.path / "tables" / "corruptions.csv", keep_default_na=False, na_values=[""])
    table = table.set_index(["row", "condition", "level"])
    assert len(table) == len(MODELS) * (1 + len(conditions()))
    errors = {}
    for model in MODELS:
        fits = [folder.predictions(r.trial.id) for r in folder.records() if r.trial.model == model]
        for condition in conditions():
            found = [fit.on_copies[condition.name] for fit in fits]
            row = table.loc[model, condition.kind, condition.level]
            errors[model, condition] = np.mean([(each.labels != truth).mean() for each in found])
            assert row["error"] == pytest.approx(errors[model, condition])
            if found[0].confidence is None:
                assert math.isnan(row["log_loss"])
                assert math.isnan(row["calibration_error"])
            else:
                losses = [each.surprise.astype(float).mean() for each in found]
                gaps = [calibration_error(each.confidence, each.labels == truth) for each in found]
                assert row["log_loss"] == pytest.approx(np.mean(losses))
                assert row["calibration_error"] == pytest.approx(np.mean(gaps))
    kinds = [c for c in conditions() if CORRUPTIONS[c.kind].level is not None]
    summary = pd.read_csv(folder.path / "tables" / "robustness.csv").set_index("row")
    for model in MODELS:
        relative = np.mean([errors[model, c] / errors["logreg", c] for c in kinds])
        assert summary.loc[model, "relative_corruption_error"] == pytest.approx(relative)
        hardest = max(kinds, key=lambda c: errors[model, c])
        assert summary.loc[model, "hardest"] == CORRUPTIONS[hardest.kind].title


def test_the_chapter_says_what_it_is_and_verify_makes_it_again(folder):
    for page in ("report.md", "report.html"):
        written = (folder.path / page).read_text(encoding="utf-8")
        assert "On corrupted images" in written
        assert "are not the published files" in written
    names = {path.stem for path in (folder.path / "figures").glob("*.svg")}
    assert names > {"corruptions", "shifts-accuracy", "shifts-calibration-error", "shifts-log-loss"}
    assert verify(folder, cache=folder.path / "no cache").differences == ()


def test_pictures_of_copies_are_kept_in_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTBENCH_CACHE", str(tmp_path / "cache"))
    images = images_of()
    store(images, tmp_path / "cache" / "mnist", "made by the tests")
    folder = with_copies(run_with(tmp_path, images, MODELS))
    write_report(folder, None)
    assert {f"hardest-{model}.svg" for model in MODELS} <= {
        p.name for p in (folder.path / "figures").iterdir()
    }
    monkeypatch.setenv("MNISTBENCH_CACHE", str(tmp_path / "empty"))
    assert verify(folder, cache=tmp_path / "empty").differences == ()
    # Nobody can show other pictures for them.
    with np.load(folder.path / "copies.npz") as kept:
        arrays = {name: 255 - array if name.endswith("pixels") else array for name, array in kept.items()}
    np.savez_compressed(folder.path / "copies.npz", **arrays)
    assert any("hardest" in each for each in verify(folder, cache=tmp_path / "empty").differences)


def test_an_edited_prediction_of_a_copy_and_a_missing_one_are_found(tmp_path):
    folder = with_copies(make_run(tmp_path, MODELS))
    write_report(folder, None)
    first, second, _ = folder.records()
    for record, keep in ((first, 1.0), (second, 0.5)):
        path = folder.path / "predictions" / f"{record.trial.id}.npz"
        stored = decode_predictions(path.read_bytes())
        kept = dict(list(stored.on_copies.items())[: round(keep * len(stored.on_copies))])
        kept["shot_noise-5"] = dataclasses.replace(kept["shot_noise-5"], labels=stored.labels)
        path.write_bytes(encode_predictions(stored.labels, stored.probabilities, kept))
    differences = " ".join(verify(folder, cache=tmp_path / "no cache").differences)
    assert f"trial {first.trial.id} (logreg): the SHA-256 of its predictions" in differences
    assert f"trial {second.trial.id} (cnn): its predictions for corrupted copies are not those" in differences
    assert "tables/corruptions.csv" in differences


def test_trials_that_predicted_other_copies_are_named(tmp_path):
    folder = with_copies(make_run(tmp_path, MODELS))
    lines = (folder.path / "records.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace("ab" * 32, "cd" * 32, 1)
    (folder.path / "records.jsonl").write_text("\n".join(lines) + "\n")
    write_report(folder, None)
    (difference,) = verify(folder, cache=tmp_path / "no cache").differences
    assert "its copies shot_noise-5 are not those of the other trials" in difference


def test_a_run_without_the_measurement_has_no_such_chapter(tmp_path):
    folder = make_run(tmp_path, MODELS)
    assert "corrupted" not in write_report(folder, None).read_text(encoding="utf-8")
    assert not (folder.path / "tables" / "corruptions.csv").exists()
    assert verify(folder, cache=tmp_path / "no cache").differences == ()
