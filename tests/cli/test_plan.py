"""`mnistbench plan` prints what trials will take, and runs none of them; a run stores it."""

import json
import re
import time

import pytest
from support.shell import CLASSES
from support.trials import write_npz
from typer.main import get_command

from mnistbench.cli import app


def stored(shell, name):
    return json.loads((shell.results / name / "run.json").read_text())


def test_plan_takes_exactly_the_options_of_run():
    commands = get_command(app).commands
    taken = {name: [each.opts for each in commands[name].params] for name in ("run", "plan")}
    assert taken["plan"] == taken["run"]


def test_a_plan_without_earlier_trials_rests_on_a_pilot_and_leaves_nothing_behind(shell):
    answer = shell(*shell.new("--only", "nearest", "--seeds", "0-2", command="plan"), env={"COLUMNS": "80"})
    assert answer.returncode == 0, answer.stderr
    assert "pilot: nearest on " in answer.stderr
    assert re.search(r"^From a pilot(, while it was busy .*)?: nearest\.$", answer.stdout, re.MULTILINE)
    assert "Total: about " in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) <= 80
    assert not shell.results.exists()


def test_a_run_stores_the_forecasts_that_earlier_runs_on_this_machine_give(shell):
    for name in ("first", "second"):
        assert shell.run("--name", name, "--only", "nearest", "--quiet").returncode == 0
    assert stored(shell, "first")["forecasts"] == {}
    plan = stored(shell, "second")
    ((trial_id, forecast),) = plan["forecasts"].items()
    (line,) = (shell.results / "first" / "records.jsonl").read_text().splitlines()
    assert trial_id == plan["trials"][0]["id"]
    assert forecast["source"].startswith("this machine")
    took, told = json.loads(line)["trial_seconds"], forecast["trial_seconds"]
    assert told["low"] < took < told["high"]
    printed = shell.done(*shell.new("--only", "nearest", command="plan"))
    assert re.search(r"^From this machine.*: nearest\.$", printed, re.MULTILINE)


def test_a_run_within_a_budget_gives_every_model_the_same_sizes_and_repeats(shell):
    answer = shell.run("--name", "short", "--only", "nearest,constant", "--budget", "3m")
    assert answer.returncode == 0, answer.stderr
    plan = stored(shell, "short")
    of_models = [
        [(each["train_size"], each["repeat"]) for each in plan["trials"] if each["model"] == model]
        for model in ("nearest", "constant")
    ]
    assert of_models[0] == of_models[1]
    assert len(of_models[0]) > 1
    assert plan["budget_seconds"] == 180
    assert "The run was made to fit into 3 min." in (shell.results / "short" / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["growing-3", "swelling-10"])
def test_a_run_ends_within_a_tenth_of_its_budget_even_where_a_forecast_is_far_off(shell, how):
    write_npz(shell.data, CLASSES, train_count=3200, test_count=60)  # on all, 10 s or 102 s
    began = time.monotonic()
    answer = shell.run(
        "--name", "short", "--only", "nearest,stub", "--set", f"stub.how={how}", "--budget", "90s"
    )
    assert time.monotonic() - began <= 1.1 * 90
    assert answer.returncode in {0, 1}, answer.stderr
    lines = (shell.results / "short" / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {each["trial"]["id"] for each in records} == {
        each["id"] for each in stored(shell, "short")["trials"]
    }
    ends = {each["status"] for each in records if each["trial"]["model"] == "stub"}
    assert ends <= ({"ok", "left_out"} if how == "growing-3" else {"timeout", "left_out"})
    assert len(ends & {"ok", "timeout"}) == 1


def test_a_budget_in_which_nothing_fits_is_refused_before_anything_runs(shell, tmp_path):
    slow = ("--set", "stub.how=noting-12", "--set", f"stub.folder={tmp_path}")
    answer = shell.run("--only", "stub", *slow, "--budget", "1s")
    assert answer.returncode == 2
    assert "--budget is too short" in answer.stderr
    assert not shell.results.exists()
