"""compare as a user types it."""

import json
import shutil


def test_compare_fails_on_a_regression_when_asked_to(ran):
    other = ran.results / "two"
    shutil.copytree(ran.results / "one", other)
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
    answer = ran("compare", "one", "two")
    assert answer.returncode == 0
    assert "Regression: nearest broke (ok to failed)" in answer.stdout
    assert ran("compare", "one", "two", "--fail-on-regression").returncode == 1
    back = ran("compare", "two", "one", "--fail-on-regression", "--markdown")
    assert back.returncode == 0
    assert back.stdout.startswith("## What changed from A to B\n")


def test_the_margin_of_a_run_is_kept_and_that_of_a_comparison_is_given(ran):
    answer = ran.run("--only", "nearest,constant", "--quiet", "--name", "wide", "--margin", "60")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")  # for it was to be quiet
    assert ran("verify", "wide", "--without-dataset").returncode == 0
    for name, margin in (("wide", "60"), ("one", "0.2")):
        page = (ran.results / name / "report.md").read_text(encoding="utf-8")
        assert f"lies within {margin} points" in page
    assert "lies within 60 points" in " ".join(ran("compare", "wide", "one").stdout.split())
    given = ran("compare", "wide", "one", "--margin", "7")
    assert "lies within 7 points" in " ".join(given.stdout.split())
