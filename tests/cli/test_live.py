"""What a run shows while it works, in terminals of any size and where there is none."""

import io
import json
import re

import pytest
from rich.console import Console
from support.synthetic_runs import Model, make_run

from mnistbench.cli.live import LiveTable, PlainLines, View, flat_record, trial_labels
from mnistbench.execution.isolation import Activity
from mnistbench.runs.records import Status


@pytest.fixture
def run(tmp_path):
    """Three models, two seeds; the last of them failed."""
    models = {"cnn": Model(), "logreg": Model(), "svm": Model(statuses=(Status.FAILED, Status.TIMEOUT))}
    return make_run(tmp_path, models, seeds=(0, 1))


def drawn(view, width, height=30):
    """Return what the view shows in a terminal of that size, line by line."""
    console = terminal(width, height)
    console.print(view)
    return console.file.getvalue().splitlines()


def terminal(width=80, height=30):
    return Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)


def test_labels_distinguish_trials_by_what_differs_and_no_more(run, tmp_path):
    trials = run.info().trials
    assert set(trial_labels(trials).values()) == {
        f"{model} seed {seed}" for model in ("cnn", "logreg", "svm") for seed in (0, 1)
    }
    (single,) = make_run(tmp_path, {"cnn": Model()}, name="single").info().trials
    assert trial_labels([single]) == {single.id: "cnn"}


@pytest.mark.parametrize("width", [80, 109, 160])
def test_the_table_fits_its_terminal_and_shows_every_state(run, width):
    trials, records = run.info().trials, run.records()
    view = LiveTable(terminal(width), trials, records[:4])
    running, _ = (t for t in trials if t.id not in {r.trial.id for r in records[:4]})
    view.started(running)
    view.activity(running, Activity("fit", 12.3, 3, 10, "epoch", rss_bytes=10**9, busy_cores=1.9))
    lines = drawn(view, width)
    assert all(len(line) <= width for line in lines)
    assert len(lines) == 1 + len(trials) + 3
    text = "\n".join(lines)
    assert re.search(r"epoch 3/10 \d+ s left", text)
    assert "12.3 s" in text
    assert "waiting" in text
    assert "4 of 6 trials done" in text
    assert "1,000 MB and 1.9 cores in use" in text
    assert "best so far" in text


@pytest.mark.parametrize("width", [34, 40, 60])
def test_a_narrow_terminal_shows_names_accuracies_and_progress(run, width):
    trials, records = run.info().trials, run.records()
    view = LiveTable(terminal(width), trials, records[:3])
    view.started(trials[3])
    view.activity(trials[3], Activity("fit", 12.3, 3, 10, "epoch", last_line="loss " + "0.5 " * 20))
    lines = drawn(view, width)
    assert all(len(line) <= width for line in lines)
    for record in records[:2]:
        line = next(
            line for line in lines if line.startswith(f"{record.trial.model} seed {record.trial.seed}")
        )
        assert f"{100 * record.quality.accuracy:.2f} %" in line
        assert " ok " in line
    text = "\n".join(lines)
    assert "accuracy" in lines[0]
    assert "fit 3/10" in text
    assert "3 of 6 done" in text
    assert "seed 1: loss 0.5" in text


def test_the_last_printed_line_of_a_running_trial_appears_as_harmless_text(run):
    trials = run.info().trials
    view = LiveTable(terminal(), trials, [])
    view.started(trials[0])
    before = drawn(view, 80)
    view.activity(trials[0], Activity("fit", 1.0, last_line="loss \x1b[2J0.5 [bold]"))
    assert "cnn seed 0: loss \\x1b[2J0.5 [bold]" in "\n".join(drawn(view, 80))
    assert len(drawn(view, 80)) == len(before) + 1


@pytest.mark.parametrize("running", [30, 1])
def test_a_long_plan_never_outgrows_the_terminal_and_what_runs_leaves_the_table_its_room(tmp_path, running):
    models = {f"model{number}": Model(statuses=(None,)) for number in range(60)}
    trials = make_run(tmp_path, models).info().trials
    view = LiveTable(terminal(height=20), trials, [])
    for trial in trials[:running]:
        view.started(trial)
        view.activity(trial, Activity("fit", 1.0, last_line="printed"))
    lines = drawn(view, 80, height=20)
    assert len(lines) <= 20
    assert 1 <= sum("printed" in line for line in lines) <= 5
    assert sum("fit" in line for line in lines[1:]) >= min(running, 8)


def test_the_best_models_come_first(run):
    view = LiveTable(terminal(), run.info().trials, run.records())
    best = sorted((r for r in run.records() if r.quality), key=lambda r: -r.quality.accuracy)
    line = next(line for line in drawn(view, 80) if "best so far: " in line)
    assert line.startswith(f"best so far: {best[0].trial.model} seed {best[0].trial.seed} ")


def test_a_finished_trial_leaves_its_numbers(run):
    trials, records = run.info().trials, run.records()
    view = LiveTable(terminal(), trials, [])
    for record in records:
        view.started(record.trial)
        view.finished(record)
    text = "\n".join(drawn(view, 80))
    assert "failed" in text
    assert "timed out" in text
    assert f"{100 * records[0].quality.accuracy:.2f} %" in text


def test_control_codes_of_a_model_show_as_text(tmp_path):
    variants = {"cnn": [{"name": "a\x1b[31m"}, {"name": "b"}]}
    trials = make_run(tmp_path, {"cnn": Model()}, variants=variants).info().trials
    assert "\x1b" not in "".join(trial_labels(trials).values())
    text = "\n".join(drawn(LiveTable(terminal(), trials, []), 80))
    assert "\\x1b" in text


def test_plain_lines_report_when_a_trial_starts_and_how_it_ended(run):
    trials, records = run.info().trials, run.records()
    console = Console(width=40, file=io.StringIO())
    view = PlainLines(console, trials, records[:2])
    failed = next(record for record in records if record.status is Status.FAILED)
    for record in (records[2], failed):
        view.started(record.trial)
        view.finished(record)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("[2/6] ")
    assert lines[0].endswith("started")
    assert "accuracy" in lines[1]
    assert failed.failure.kind in lines[3]


def test_a_trial_that_begins_again_reports_it(run):
    trials = run.info().trials
    console = Console(width=80, file=io.StringIO())
    plain, live = PlainLines(console, trials, []), LiveTable(terminal(), trials, [])
    for view in (plain, live):
        view.started(trials[0])
        view.started(trials[0])
    first, second = console.file.getvalue().splitlines()
    assert first.endswith(": started")
    assert second.endswith(": started again")
    live.activity(trials[0], Activity("fit", 3.0))
    assert "fit again" in "\n".join(drawn(live, 80))


@pytest.mark.parametrize("kind", ["none", "lines", "table"])
def test_json_lines_hold_one_object_a_trial_whatever_else_is_shown(run, kind):
    trials, stream, beside = run.info().trials, io.StringIO(), io.StringIO()
    views = {
        "none": View(),
        "lines": PlainLines(Console(file=beside), trials, []),
        "table": LiveTable(Console(file=beside, force_terminal=True), trials, []),
    }
    views[kind].json_lines = stream
    with views[kind] as view:
        for record in run.records():
            view.started(record.trial)
            view.finished(record)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert rows == [json.loads(json.dumps(flat_record(record))) for record in run.records()]
    ok = [row for row in rows if row["status"] == "ok"]
    assert all(row["accuracy"] > 0.8 and row["failure"] is None for row in ok)
    assert {row["status"] for row in rows} == {"ok", "failed", "timeout"}
    assert all(row["accuracy"] is row["fit_seconds"] is None for row in rows if row["status"] != "ok")
    assert bool(beside.getvalue()) == (kind != "none")
