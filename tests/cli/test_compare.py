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
