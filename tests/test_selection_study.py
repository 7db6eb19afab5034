"""The selection study scores what it says, keeps it, and goes on where it was stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mnistbench.datasets import Arrays
from mnistbench.datasets.holdout import choose_holdout, held_out_mask, other_holdout

STUDY = Path(__file__).parents[1] / "benchmarks" / "studies" / "selection.py"
CANDIDATES = {"the recipe": 0.1, "shrinkage 0.01": 0.01, "shrinkage 0.3": 0.3}


@pytest.fixture
def data(tmp_path):
    """Write images of 40 writers, a quarter of whose labels are wrong, as a file, and return them."""
    draw = np.random.default_rng(0)
    true = np.arange(600) % 3
    images = (draw.integers(60, 196, (3, 6, 5))[true] + draw.integers(-50, 51, (600, 6, 5))).astype(np.uint8)
    labels = np.where(draw.random(600) < 0.25, draw.integers(0, 3, 600), true)
    ids = np.arange(600) // 12
    parts = {"x_train": images[:480], "y_train": labels[:480], "x_test": images[480:], "y_test": labels[480:]}
    np.savez(tmp_path / "noise.npz", **parts, groups_train=ids[:480], groups_test=ids[480:])
    return Arrays(**parts, groups=np.stack([ids, np.zeros_like(ids)], axis=1))


def selected(folder):
    """Run the study on two hold-outs and return each candidate's counts of wrong images and their sum."""
    command = [
        sys.executable,
        STUDY,
        "lda",
        "--holdouts=2",
        f"--dataset={folder / 'noise.npz'}",
        "--threads=1",
    ]
    environment = os.environ | {"MNISTBENCH_CACHE": str(folder / "cache")}
    run = subprocess.run(
        [*command, f"--results={folder / 'results'}"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    rows = [line.strip("| ").split(" | ") for line in run.stdout.splitlines() if line.startswith("| ")][2:]
    return {row[0].strip("*"): row[1:3] for row in rows}


def test_it_counts_the_errors_on_other_writers_and_goes_on_where_it_was_stopped(data, tmp_path):
    wrong = {label: [] for label in CANDIDATES}
    for number in range(2):
        held = held_out_mask(data, other_holdout(choose_holdout(data), number))
        x = data.x_train.reshape(480, -1) / np.float32(255)
        for label, shrinkage in CANDIDATES.items():
            model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
            labels = model.fit(x[~held], data.y_train[~held]).predict(x[held])
            wrong[label].append(int((labels != data.y_train[held]).sum()))
    expected = {label: [f"{a}, {b}", str(a + b)] for label, (a, b) in wrong.items()}
    assert min(map(min, wrong.values())) > 0
    assert selected(tmp_path) == expected

    first, second = sorted((tmp_path / "results").glob("*/records.jsonl"))
    kept, lost = second.read_text().splitlines(keepends=True)[:2], second.read_text().splitlines()[2]
    second.write_text("".join(kept))
    assert selected(tmp_path) == expected
    (again,) = set((tmp_path / "results").glob("*/records.jsonl")) - {first, second}
    (record,) = map(json.loads, again.read_text().splitlines())
    assert record["trial"]["id"] == json.loads(lost)["trial"]["id"]
