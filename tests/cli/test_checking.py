"""verify, compare, repeat and audit as a user types them: real processes, stub models, few images."""

import json
import shutil

import pytest
from support.shell import Shell


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Shell:
    """Run two models once, to be copied by each test."""
    shell = Shell.made(tmp_path_factory.mktemp("shell"))
    answer = shell.run("--name", "one", "--only", "nearest,constant", "--quiet")
    assert answer.returncode == 0, answer.stderr
    return shell


@pytest.fixture
def shell(ran, tmp_path) -> Shell:
    return ran.copy(tmp_path / "place")


def test_verify_passes_a_real_run_against_its_data_set(shell):
    answer = shell("verify", "results")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "one: verified: 2 trials, 2 sets of predictions, and all" in answer.stdout
    assert "note" not in answer.stdout


def test_verify_reports_an_unavailable_data_set(shell):
    shutil.rmtree(shell.place / "cache")
    answer = shell("verify", "one")
    assert answer.returncode == 1
    assert "verified" not in answer.stdout
    assert "one: bars is not in the cache" in answer.stderr
    assert "add --without-dataset" in answer.stderr
    content = shell("verify", "one", "--without-dataset")
    assert content.returncode == 0, content.stderr
    assert "one: note: bars is not in the cache" in content.stdout
    assert "one: verified" in content.stdout


def test_verify_fails_with_a_line_for_each_difference(shell):
    run = shell.results / "one"
    table = run / "tables" / "results.csv"
    table.write_text(table.read_text().replace("nearest", "NEAREST"))
    next(run.glob("figures/*.svg")).unlink()
    answer = shell("verify", "one")
    assert answer.returncode == 1
    assert answer.stdout == ""
    lines = answer.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("mnistbench: one: ") for line in lines)
    assert "Traceback" not in answer.stderr


def test_verify_of_what_is_no_run(shell):
    answer = shell("verify", "two")
    assert answer.returncode == 2
    assert "no run named 'two'" in answer.stderr


def test_repeat_runs_the_same_plan_and_compares(shell):
    answer = shell("repeat", "one", "--quiet")
    assert answer.returncode == 0, answer.stderr
    assert "A is one, B is " in answer.stdout
    assert "No regression found." in answer.stdout
    assert answer.stdout.count("identical predictions") == 2
    assert answer.stdout.count("cannot tell: repeat at least 3 times") == 4
    (again,) = (path for path in shell.results.iterdir() if path.name not in ("one", "report.md"))
    plans = [json.loads((shell.results / name / "run.json").read_text()) for name in ("one", again)]
    assert plans[0]["trials"] == plans[1]["trials"]


def test_repeat_refuses_a_model_that_has_changed(shell):
    info = shell.results / "one" / "run.json"
    sha256 = json.loads(info.read_text())["models"][0]["sha256"]
    info.write_text(info.read_text().replace(sha256, "0" * 64))
    answer = shell("repeat", "one")
    assert answer.returncode == 2
    assert "has changed since" in answer.stderr


def test_compare_fails_on_a_regression_when_asked_to(shell):
    other = shell.results / "two"
    shutil.copytree(shell.results / "one", other)
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
    answer = shell("compare", "one", "two")
    assert answer.returncode == 0
    assert "Regression: nearest broke (ok to failed)" in answer.stdout
    assert shell("compare", "one", "two", "--fail-on-regression").returncode == 1
    back = shell("compare", "two", "one", "--fail-on-regression", "--markdown")
    assert back.returncode == 0
    assert back.stdout.startswith("## What changed from A to B\n")


def test_audit_reports_what_drifts(shell):
    chosen = ("--only", "nearest,drifting,raises_in_import", "--train-size", "90")
    data = ("--models", shell.models, "--dataset", shell.data)
    answer = shell("audit", *data, *chosen, "--threads", "1", "--quiet")
    assert answer.returncode == 1  # one of them fails
    rows = {line.split()[0]: line for line in answer.stdout.splitlines()}
    assert "bit-identical" in rows["nearest"]
    assert "0 of 60" in rows["nearest"]
    assert "drifting" in rows["drifting"]
    assert "failed" in rows["raises_in_import"]
    plan = json.loads(next(shell.results.glob("*audit*/run.json")).read_text())
    assert [trial["repeat"] for trial in plan["trials"]] == [0, 0, 0, 1, 1, 1]
    assert {trial["train_size"] for trial in plan["trials"]} == {90}
