"""audit as a user types it."""

import json


def test_audit_reports_what_drifts(ran):
    chosen = ("--only", "nearest,drifting,raises_in_import", "--train-size", "90")
    data = ("--models", ran.models, "--dataset", ran.data)
    answer = ran("audit", *data, *chosen, "--threads", "1", "--quiet")
    assert answer.returncode == 1  # one of them fails
    rows = {line.split()[0]: line for line in answer.stdout.splitlines()}
    assert "bit-identical" in rows["nearest"]
    assert "0 of 60" in rows["nearest"]
    assert "drifting" in rows["drifting"]
    assert "failed" in rows["raises_in_import"]
    plan = json.loads(next(ran.results.glob("*audit*/run.json")).read_text())
    assert [trial["repeat"] for trial in plan["trials"]] == [0, 0, 0, 1, 1, 1]
    assert {trial["train_size"] for trial in plan["trials"]} == {90}
