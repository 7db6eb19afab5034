"""A user's own data from the command line: read as asked, described on every page, kept by later commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.shell import Shell
from support.trials import MODELS

from mnistbench.runs.folder import RunFolder

RUN = ("run", "--models", MODELS, "--only", "nearest", "--threads", "1", "--measure", "none", "--quiet")


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


def save(
    path: Path, labels: np.ndarray, *, white: int = 255, dtype: type = np.uint8, unseen: int = 0
) -> Path:
    """Write bars, one row of pixels a class, as training and test images; some test images of class 9."""
    images = np.zeros((len(labels), 4, 3), dtype=dtype)
    images[np.arange(len(labels)), labels] = white
    test_labels = np.r_[labels[::3], np.full(unseen, 9)]
    test_images = np.concatenate([images[::3], images[:unseen]])
    np.savez(path, x_train=images, y_train=labels, x_test=test_images, y_test=test_labels)
    return path


SLOWER_KINDS = [(1, np.int64), (1, np.float32), (65535, np.uint16)]  # test_arrays.py reads each of them


def pages(folder: Path) -> list[str]:
    return [(folder / name).read_text(encoding="utf-8") for name in ("report.md", "report.html")]


def accuracy(folder: Path) -> float:
    return RunFolder(folder).records()[0].quality.accuracy


@pytest.mark.parametrize(
    ("white", "dtype"),
    [(16, np.uint8), *(pytest.param(*kind, marks=pytest.mark.slow) for kind in SLOWER_KINDS)],
)
def test_pixels_in_another_range_run_once_their_maximum_is_stated(shell, tmp_path, white, dtype):
    data = save(tmp_path / "bars.npz", np.arange(60) % 4, white=white, dtype=dtype)
    refused = shell(*RUN, "--dataset", data, "--name", "one")
    assert refused.returncode == 3
    assert f"use --pixel-max {white}" in refused.stderr
    assert not shell.results.exists()
    shell.done(*RUN, "--dataset", data, "--pixel-max", white, "--name", "one")
    assert accuracy(shell.results / "one") == 1
    title = f"bars (pixels scaled from 0-{white})"
    assert all(title in page for page in (*pages(shell.results / "one"), shell.done("show", "one")))


def test_how_data_are_read_is_kept_by_repeat_trial_resume_and_verify(shell, tmp_path):
    data = save(tmp_path / "bars.npz", np.arange(60) % 4, white=16, unseen=5)
    shell.done(*RUN, "--dataset", data, "--pixel-max", 16, "--unseen", "drop", "--name", "one")
    change = "pixels scaled from 0-16; without 5 test images of 1 class without training images"
    results = shell.results
    (record,) = RunFolder(results / "one").records()
    shell.done("run", "--trial", f"one/{record.trial.id}", "--name", "trial", "--quiet")
    shell.done("repeat", "one", "--quiet")
    folders = [path for path in results.iterdir() if path.is_dir()]
    assert len(folders) == 3
    (again,) = set(folders) - {results / "one", results / "trial"}
    (again / "records.jsonl").unlink()
    shell.done("run", "--resume", again, "--quiet")
    for folder in folders:
        assert all(change in page for page in pages(folder))
        assert RunFolder(folder).info().dataset == RunFolder(results / "one").info().dataset
    shell.done("verify", "results")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_maximum_that_no_pixel_can_have_is_wrong_usage(shell, value):
    answer = shell(*RUN, "--dataset", "digits", f"--pixel-max={value}")
    assert answer.returncode == 2
    assert f"--pixel-max {value} is not understood; expected a number above 0" in answer.stderr


def test_test_images_of_unseen_classes_are_refused_with_the_way_on(shell, tmp_path):
    data = save(tmp_path / "bars.npz", np.arange(60) % 4, unseen=5)
    answer = shell(*RUN, "--dataset", data)
    assert answer.returncode == 3
    assert "class 9 is in the test labels but not in the training labels" in answer.stderr
    assert "--unseen drop" in answer.stderr


def test_sorted_labels_give_a_hold_out_of_all_classes_which_is_compared_with_no_other(shell, tmp_path):
    data = save(tmp_path / "bars.npz", np.sort(np.arange(60) % 3))
    shell.done(*RUN, "--dataset", data, "--validation", "--name", "one")
    folder = shell.results / "one"
    assert np.bincount(RunFolder(folder).true_labels()).tolist() == [4, 3, 3]
    assert accuracy(folder) == 1
    assert all("without a stratified sixth of the training images" in page for page in pages(folder))
    shell.done("verify", "one")
    plan = shutil.copytree(folder, shell.results / "two") / "run.json"
    plan.write_text(plan.read_text().replace('"holdout": "stratified"', '"holdout": "last"'))
    answer = shell("compare", "one", "two")
    assert answer.returncode == 2
    assert "one is evaluated on a stratified sixth" in answer.stderr


def test_a_run_of_an_earlier_version_keeps_its_hold_out(shell, tmp_path):
    """Such a run held the last images out, whatever they showed; to resume it changes nothing of that."""
    data = save(tmp_path / "bars.npz", np.r_[np.arange(50) % 3, np.arange(10) % 2])
    shell.done(*RUN, "--dataset", data, "--validation", "--name", "one")
    folder = shell.results / "one"
    plan = json.loads((folder / "run.json").read_text())
    assert plan["trials"][0].pop("holdout") == plan["dataset"].pop("holdout") == "stratified"
    del plan["trials"][0]["id"]
    (folder / "run.json").write_text(json.dumps(plan))
    with np.load(data) as arrays:
        np.savez(folder / "labels.npz", labels=arrays["y_train"][-10:])
    for name in ("records.jsonl", "sessions.jsonl"):
        (folder / name).unlink()
    shell.done("run", "--resume", "one", "--quiet")
    assert accuracy(folder) == 1
    assert all("without the last sixth of the training images" in page for page in pages(folder))


def test_too_few_images_for_a_hold_out_are_wrong_usage_and_nothing_runs(shell, tmp_path):
    data = save(tmp_path / "bars.npz", np.array([0, 1, 0, 1, 0]))
    answer = shell(*RUN, "--dataset", data, "--validation")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "bars is too small, with 5 training images of 2 classes" in answer.stderr
    assert not shell.results.exists()
    shell.done(*RUN, "--dataset", data)
