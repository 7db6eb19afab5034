"""verify, compare, repeat and audit as a user types them: real processes, stub models, few images."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.trials import MODELS

DRIFTING = '''"""Draws its answers without a seed."""
import numpy as np
class Drifting:
    def fit(self, X, y):
        self.k = int(y.max()) + 1
        return self
    def predict(self, X):
        return np.random.default_rng().integers(0, self.k, len(X))
def build():
    return Drifting()
'''


@dataclass(frozen=True)
class Bench:
    """A folder of its own, with stub models and a small data set, in which mnistbench is started."""

    place: Path
    models: Path

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "MNISTBENCH_CACHE": str(self.place / "cache"),
            "COLUMNS": "120",
            "NO_COLOR": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "mnistbench", *map(str, arguments)],
            cwd=self.place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def run(self, name: str, *more: object, only: str = "nearest,constant") -> None:
        arguments = ("--models", self.models, "--dataset", "bars.npz", "--only", only, "--threads", "1")
        answer = self("run", "--name", name, *arguments, "--measure", "none", "--quiet", *more)
        assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Bench:
    """Run two models once, to be copied by each test."""
    place = tmp_path_factory.mktemp("bench")
    models = place / "models"
    models.mkdir()
    for name in ("nearest", "constant", "raising"):
        shutil.copy(MODELS / f"{name}.py", models)
    (models / "drifting.py").write_text(DRIFTING, encoding="utf-8")
    draw = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 120), ("test", 60)):
        labels = np.arange(count) % 3
        images = draw.integers(0, 60, (count, 6, 5))
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 2] += 150
        arrays |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
    np.savez(place / "bars.npz", **arrays)
    bench = Bench(place, models)
    bench.run("one")
    return bench


@pytest.fixture
def bench(ran, tmp_path) -> Bench:
    shutil.copytree(ran.place, tmp_path / "bench")
    return Bench(tmp_path / "bench", ran.models)


def test_verify_passes_a_real_run_against_its_data_set(bench):
    answer = bench("verify", "results")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "one: verified: 2 trials, 2 sets of predictions, and all" in answer.stdout
    assert "note" not in answer.stdout


def test_verify_reports_an_unavailable_data_set(bench):
    shutil.rmtree(bench.place / "cache")
    answer = bench("verify", "one")
    assert answer.returncode == 1
    assert "verified" not in answer.stdout
    assert "one: bars is not in the cache" in answer.stderr
    assert "add --without-dataset" in answer.stderr
    content = bench("verify", "one", "--without-dataset")
    assert content.returncode == 0, content.stderr
    assert "one: note: bars is not in the cache" in content.stdout
    assert "one: verified" in content.stdout


def test_verify_fails_with_a_line_for_each_difference(bench):
    run = bench.place / "results" / "one"
    table = run / "tables" / "results.csv"
    table.write_text(table.read_text().replace("nearest", "NEAREST"))
    next(run.glob("figures/*.svg")).unlink()
    answer = bench("verify", "one")
    assert answer.returncode == 1
    assert answer.stdout == ""
    lines = answer.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("mnistbench: one: ") for line in lines)
    assert "Traceback" not in answer.stderr


def test_verify_of_what_is_no_run(bench):
    answer = bench("verify", "two")
    assert answer.returncode == 2
    assert "no run named 'two'" in answer.stderr


def test_repeat_runs_the_same_plan_and_compares(bench):
    answer = bench("repeat", "one", "--quiet")
    assert answer.returncode == 0, answer.stderr
    assert "A is one, B is " in answer.stdout
    assert "No regression found." in answer.stdout
    assert answer.stdout.count("identical predictions") == 2
    assert answer.stdout.count("cannot tell: repeat at least 3 times") == 4
    (again,) = (path for path in (bench.place / "results").iterdir() if path.name not in ("one", "report.md"))
    plans = [json.loads((bench.place / "results" / name / "run.json").read_text()) for name in ("one", again)]
    assert plans[0]["trials"] == plans[1]["trials"]


def test_repeat_refuses_a_model_that_has_changed(bench):
    info = bench.place / "results" / "one" / "run.json"
    sha256 = json.loads(info.read_text())["models"][0]["sha256"]
    info.write_text(info.read_text().replace(sha256, "0" * 64))
    answer = bench("repeat", "one")
    assert answer.returncode == 2
    assert "has changed since" in answer.stderr


def test_compare_fails_on_a_regression_when_asked_to(bench):
    other = bench.place / "results" / "two"
    shutil.copytree(bench.place / "results" / "one", other)
    info = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**info, "name": "two"}))
    records = [json.loads(line) for line in (other / "records.jsonl").read_text().splitlines()]
    records[0] |= {
        "status": "failed",
        "failure": {"kind": "ValueError", "message": "no luck", "traceback": ""},
        "measurement": None,
        "quality": None,
        "predictions_sha256": None,
    }
    (other / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    answer = bench("compare", "one", "two")
    assert answer.returncode == 0
    assert "Regression: nearest broke (ok to failed)" in answer.stdout
    assert bench("compare", "one", "two", "--fail-on-regression").returncode == 1
    back = bench("compare", "two", "one", "--fail-on-regression", "--markdown")
    assert back.returncode == 0
    assert back.stdout.startswith("## What changed from A to B\n")


def test_audit_reports_what_drifts(bench):
    answer = bench(
        *("audit", "--models", bench.models, "--only", "nearest,drifting,raising", "--dataset", "bars.npz"),
        *("--train-size", "90", "--threads", "1", "--quiet"),
    )
    assert answer.returncode == 1  # one of them fails
    rows = {line.split()[0]: line for line in answer.stdout.splitlines()}
    assert "bit-identical" in rows["nearest"]
    assert "0 of 60" in rows["nearest"]
    assert "drifting" in rows["drifting"]
    assert "failed" in rows["raising"]
    plan = json.loads(next((bench.place / "results").glob("*audit*/run.json")).read_text())
    assert [trial["repeat"] for trial in plan["trials"]] == [0, 0, 0, 1, 1, 1]
    assert {trial["train_size"] for trial in plan["trials"]} == {90}
