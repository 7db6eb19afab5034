"""repeat as a user types it."""

import json


def test_repeat_runs_the_same_plan_and_compares(ran):
    answer = ran("repeat", "one", "--quiet")
    assert answer.returncode == 0, answer.stderr
    assert "A is one, B is " in answer.stdout
    assert "No regression found." in answer.stdout
    assert answer.stdout.count("identical predictions") == 2
    assert answer.stdout.count("cannot tell: repeat at least 3 times") == 4
    (again,) = (path for path in ran.results.iterdir() if path.name not in ("one", "report.md"))
    plans = [json.loads((ran.results / name / "run.json").read_text()) for name in ("one", again)]
    assert plans[0]["trials"] == plans[1]["trials"]
