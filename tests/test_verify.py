"""A run folder that is what it claims to be passes; whatever is edited, stale or missing is named."""

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from support import synthetic_runs
from support.synthetic_runs import Model, dataset, make_run, run_with, true_labels, with_copies

from mnistbench import verify as verification
from mnistbench.datasets.arrays import Arrays
from mnistbench.datasets.cache import store
from mnistbench.datasets.corruptions import conditions, corrupted, images_digest
from mnistbench.datasets.holdout import choose_holdout, held_out_mask
from mnistbench.datasets.splits import evaluation_groups
from mnistbench.report import write_report
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import decode_predictions, encode_predictions
from mnistbench.runs.records import Session, Status
from mnistbench.verify import verify

MODELS = {
    "svm": Model(0.02, 5, probabilities=False),
    "cnn": Model(0.05, 2),
    "bad": Model(statuses=(Status.FAILED,)),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Make a run with its report, once, to be copied and damaged."""
    results = tmp_path_factory.mktemp("results")
    folder = make_run(results, MODELS, data=dataset(test_count=200))
    write_report(folder, results)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original.path.parent, tmp_path / "results")
    return RunFolder(tmp_path / "results" / original.name)


def found(folder, **more):
    return verify(folder, cache=folder.path.parent.parent / "cache", **more)


def edit(path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_an_honest_run_passes(folder):
    result = found(folder, results=folder.path.parent)
    assert result.differences == ()
    assert result.trial_count == 3
    assert result.prediction_count == 2
    assert result.file_count > 5
    assert "not in the cache" in result.unchecked[0]


def test_verifying_changes_nothing(folder):
    def content():
        return {p: p.read_bytes() for p in folder.path.parent.rglob("*") if p.is_file()}

    before = content()
    found(folder)
    assert content() == before


def test_a_hand_edited_table_is_reported_with_its_line(folder):
    accuracy = folder.records()[0].quality.accuracy
    edit(folder.path / "tables" / "results.csv", f"{accuracy}", "0.999")
    (difference,) = found(folder).differences
    assert difference.startswith("tables/results.csv, line 2, is ")
    assert "0.999" in difference


def other_predictions(folder, trial) -> None:
    stored = folder.predictions(trial.id)
    labels = stored.labels.copy()
    labels[0] = (labels[0] + 1) % 10
    folder.write(f"predictions/{trial.id}.npz", encode_predictions(labels, stored.probabilities))


def torn(folder, trial) -> None:
    path = folder.path / "records.jsonl"
    first = path.read_bytes().split(b"\n")[0]
    path.write_bytes(path.read_bytes() + first + b"\n" + first[:40])


SEVEN = encode_predictions(np.zeros(7, dtype=np.int64), None)
TORN = "records.jsonl ends in a line that was never finished"


@pytest.mark.parametrize(
    ("damage", "reported"),
    [
        (lambda f, t: (f.path / "report.md").unlink(), ["report.md is missing"]),
        (lambda f, t: (f.path / "tables/trials.csv").unlink(), ["tables/trials.csv is missing"]),
        (lambda f, t: (f.path / "figures/confusion-cnn.svg").unlink(), ["confusion-cnn.svg is missing"]),
        (lambda f, t: f.write("figures/x.svg", b""), ["figures/x.svg does not belong to this run's report"]),
        (lambda f, t: f.write("predictions/x.npz", b""), ["x.npz does not belong to a successful trial"]),
        (other_predictions, ["SHA-256 of its predictions", "error_count", ...]),
        (lambda f, t: (f.path / f"predictions/{t.id}.npz").unlink(), [".npz is missing", ...]),
        (lambda f, t: f.write(f"predictions/{t.id}.npz", b"PK rubbish"), [".npz cannot be read", ...]),
        (lambda f, t: (f.path / f"logs/{t.id}.log").unlink(), [".log is missing"]),
        (torn, [TORN, "records.jsonl has 4 lines for 3 trials", ...]),
        (
            lambda f, t: f.write("sessions.jsonl", b"{}\n"),
            ["sessions.jsonl has 1 lines, of which 0 can be read", ...],
        ),
        (lambda f, t: (f.path / "labels.npz").unlink(), ["labels.npz is missing", ...]),
        (lambda f, t: f.write("labels.npz", SEVEN), ["labels.npz has 7 labels; the data set has 200", ...]),
    ],
)
def test_what_is_missing_damaged_or_not_its_own_is_reported(folder, damage, reported):
    damage(folder, folder.records()[0].trial)
    differences = found(folder).differences
    alone = reported[-1] is not ...  # nothing else is reported
    words = reported if alone else reported[:-1]
    assert len(differences) == len(words) if alone else len(differences) >= len(words)
    assert all(part in line for part, line in zip(words, differences, strict=False))


def test_hand_edited_pages_are_reported(folder):
    edit(folder.path / "report.md", "cnn", "CNN")
    edit(folder.path.parent / "report.md", "svm", "SVM")
    first, second = found(folder, results=folder.path.parent).differences
    assert first.startswith("report.md, line")
    assert second.startswith("results/report.md, line")


def test_a_report_that_is_older_than_its_records_is_stale(folder):
    edit(folder.path / "records.jsonl", '"engine":"scikit-learn 1.9.0"', '"engine":"scikit-learn 2.0"')
    differences = found(folder).differences
    assert any(line.startswith("report.md, line") for line in differences)
    assert any(line.startswith("tables/models.csv, line") for line in differences)


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("error_count", None, 1),
        ("accuracy", None, 0.995),
        ("macro_f1", None, 0.995),
        ("log_loss", None, 0.01),
    ],
)
def test_an_edited_score_is_recomputed_even_if_the_report_was_made_again(folder, field, old, new):
    lines = (folder.path / "records.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[1])
    record["quality"][field] = new
    (folder.path / "records.jsonl").write_text("\n".join([lines[0], json.dumps(record), lines[2], ""]))
    write_report(folder, None)
    (difference,) = found(folder).differences
    assert f"(cnn): its record gives {field} {new}, its predictions give " in difference


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("records.jsonl", '"seed":0', '"seed":7', "trial.id is"),
        ("records.jsonl", '"status":"ok"', '"status":"failed"', "does not fit its failure"),
        ("records.jsonl", '"fit_seconds":', '"fit_seconds":9', "more than the"),
        ("records.jsonl", '"train_images":1200', '"train_images":9999', "it saw 9999 training images"),
        (
            "records.jsonl",
            '"test_images":200',
            '"test_images":100',
            "100 images were predicted and 200 scored",
        ),
        ("run.json", '"seed": 0', '"seed": 7', "trials[0].id is"),
        ("run.json", '"schema_version": 1', '"schema_version": 9', "has schema version 9"),
    ],
)
def test_an_edited_record_or_plan_is_reported(folder, name, old, new, words):
    edit(folder.path / name, old, new)
    assert any(words in line for line in found(folder).differences), found(folder).differences


def test_a_damaged_line_is_the_one_difference(folder):
    edit(folder.path / "records.jsonl", '"status":"ok"', '"status":"fine"')
    (difference,) = found(folder).differences
    assert "records.jsonl, line 1, is damaged" in difference


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (Session("", 1000.0, ("{id}",), True), None),
        (Session("", 1.0, ("{id}",), True), "more than the 1.0 s of the session"),
        (Session("", 1000.0, ("gone",), True), "names the trial gone, which has no record"),
    ],
)
def test_sessions_fit_the_records(folder, session, words):
    (first, *_) = folder.records()
    ids = tuple(trial_id.format(id=first.trial.id) for trial_id in session.trial_ids)
    folder.append_session(dataclasses.replace(session, trial_ids=ids))
    write_report(folder, None)
    reported = [line for line in found(folder).differences if "sessions.jsonl, session 1" in line]
    assert len(reported) == bool(words)
    assert all(words in line for line in reported)


def test_a_trial_that_ran_again_counts_for_its_last_session(folder):
    (first, *_) = folder.records()
    for wall_seconds in (0.0, 1e6):
        folder.append_session(Session("2026-01-01T00:00:00+00:00", wall_seconds, (first.trial.id,), True))
    write_report(folder, None)
    assert found(folder).differences == ()


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("wrong", [0, 3])
def test_labels_are_compared_with_the_data_set_in_the_cache(tmp_path, split, wrong):
    truth = true_labels(dataset(test_count=100))
    train = np.concatenate([np.arange(500) % 10, truth])
    draw = np.random.default_rng(0)
    arrays = Arrays(
        draw.integers(0, 255, (600, 4, 4)).astype(np.uint8),
        train.astype(np.int64),
        draw.integers(0, 255, (100, 4, 4)).astype(np.uint8),
        truth,
    )
    store(arrays, tmp_path / "cache" / "mnist", "a test")
    data = dataset(test_count=100, sha256=arrays.sha256())
    folder = make_run(tmp_path / "results", {"svm": Model(0.1)}, data=data, split=split)
    record = json.loads((folder.path / "records.jsonl").read_text())
    record["measurement"]["train_images"] = 600 if split == "test" else 500
    (folder.path / "records.jsonl").write_text(json.dumps(record) + "\n")
    write_report(folder, None)
    if wrong:
        stored = decode_predictions((folder.path / "labels.npz").read_bytes()).labels.copy()
        stored[:wrong] = (stored[:wrong] + 1) % 10
        folder.write("labels.npz", encode_predictions(stored, None))
    result = found(folder)
    assert result.unchecked == ()
    reported = [line for line in result.differences if line.startswith("labels.npz")]
    assert reported == (["labels.npz differs from MNIST in 3 labels"] if wrong else [])
    assert bool(result.differences) == bool(wrong)


@pytest.mark.parametrize(
    ("split", "wrong"),
    [("test", ""), ("test", "trained_on"), ("validation", "ids"), ("validation", "every group")],
)
def test_groups_are_compared_with_the_data_set_in_the_cache(tmp_path, split, wrong):
    truth = true_labels(dataset(test_count=100))
    blank, ids = np.zeros((600, 4, 4), np.uint8), np.r_[np.arange(600) // 8, np.arange(100) // 5 + 70]
    train = np.arange(600) % 10
    arrays = Arrays(blank, train, blank[:100], truth, groups=np.stack([ids, ids % 2], axis=1))
    kind = choose_holdout(arrays)
    held = held_out_mask(arrays, kind)
    if split == "validation":
        truth = true_labels(dataset(test_count=int(held.sum())))
        train[held] = truth
    store(arrays, tmp_path / "cache" / "mnist", "a test")
    data = dataset(
        test_count=len(truth), sha256=arrays.sha256(), groups_sha256=arrays.groups_sha256(),
        train_count=600, holdout=kind, holdout_count=int(held.sum()),
    )  # fmt: skip
    groups = evaluation_groups(arrays, split, kind)
    if wrong == "every group":
        groups = None
    elif wrong:
        getattr(groups, wrong)[:3] ^= np.bool_(1)
    make_run(tmp_path / "results", {"svm": Model(0.1)}, data=data, split=split, groups=groups)
    folder = RunFolder(tmp_path / "results" / "run")
    reported = [line for line in found(folder).differences if line.startswith("labels.npz")]
    expected = {"": [], "every group": ["labels.npz has no groups, unlike run.json"]}.get(
        wrong, [f"labels.npz differs from MNIST in the {wrong} of 3 images"]
    )
    assert reported == expected
    shutil.rmtree(tmp_path / "cache")
    store(replace(arrays, groups=None), tmp_path / "cache" / "mnist", "a test")
    (line,) = found(folder).unchecked
    assert line.startswith("MNIST with the group of each image is not in the cache")


def test_images_are_compared_with_the_data_set_in_the_cache(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    truth = true_labels(dataset(test_count=100))
    arrays = Arrays(
        draw.integers(0, 255, (600, 4, 4)).astype(np.uint8),
        (np.arange(600) % 10).astype(np.int64),
        draw.integers(0, 255, (100, 4, 4)).astype(np.uint8),
        truth,
    )
    cache = tmp_path / "cache"
    store(arrays, cache / "mnist", "a test")
    data = dataset(test_count=100, sha256=arrays.sha256())
    folder = make_run(tmp_path / "results", {"svm": Model(0.1)}, data=data)
    monkeypatch.setenv("MNISTBENCH_CACHE", str(cache))
    write_report(folder, None)
    assert not any("images" in line for line in found(folder).differences)
    with np.load(folder.path / "images.npz") as kept:
        index, pixels = kept["index"], kept["pixels"].copy()
    pixels[1] ^= 1
    np.savez_compressed(folder.path / "images.npz", index=index, pixels=pixels)
    assert "images.npz differs from MNIST in 1 image" in found(folder).differences
    np.savez_compressed(folder.path / "images.npz", index=index + 10**6, pixels=pixels)
    assert f"images.npz differs from MNIST in {len(index)} images" in found(folder).differences


@pytest.mark.parametrize("same_machine", [True, False])
def test_corrupted_copies_are_made_again(tmp_path, monkeypatch, same_machine):
    images = synthetic_runs.arrays(100)
    store(images, tmp_path / "cache" / "mnist", "a test")
    folder = with_copies(run_with(tmp_path, images, {"cnn": Model(0.05)}))
    lines = folder.path / "records.jsonl"
    record = json.loads(lines.read_text())
    record["measurement"]["copies_sha256"] = {
        each.name: images_digest(corrupted(images.x_test, each)) for each in conditions()
    }
    record["measurement"]["copies_sha256"]["fog-5"] = "ab" * 32
    lines.write_text(json.dumps(record) + "\n")
    here = synthetic_runs.ENVIRONMENT
    if not same_machine:
        here = replace(here, cpu="Another CPU")
    monkeypatch.setattr(verification, "environment", lambda: here)
    result = found(folder)
    reported = [line for line in (*result.differences, *result.notes) if "fog-5" in line]
    assert reported == [line for line in (*result.differences, *result.notes) if "copies" in line]
    assert [line in result.differences for line in reported] == [same_machine]


def test_an_interrupted_run_is_honest_about_it(tmp_path):
    folder = make_run(
        tmp_path, {"svm": Model(0.02, 5), "late": Model(statuses=(None,))}, data=dataset(test_count=200)
    )
    write_report(folder, None)
    result = found(folder)
    assert result.differences == ()
    assert "1 of 2 trials have no record" in result.notes[0]


def test_changed_model_files_are_notes_and_no_difference(folder):
    notes = found(folder).notes
    assert "the model file svm.py has changed since this run" in notes
    assert "the model file bad.py no longer exists" in notes


def test_an_excerpt_shows_where_lines_differ_even_if_one_continues_the_other():
    line = "x" * 300
    assert verification._excerpt(f"{line}, and more", line) != verification._excerpt(
        line, f"{line}, and more"
    )
