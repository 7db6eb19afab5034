"""run as a user types it, end to end: interrupted, resumed, and with models that end in every way."""

import json
import os
import re
import signal
import sys

import pytest
import typer
from support.processes import descendants, wait_for
from support.trials import write_npz

from mnistbench.cli import app
from mnistbench.errors import UsageError
from mnistbench.machine import usable_cores
from mnistbench.runs.folder import RunFolder


def test_a_run_writes_its_report_and_ends_with_status_0(first_run):
    shell, answer = first_run
    assert answer.returncode == 0, answer.stderr
    assert "2 ok: see " in answer.stdout
    page = (shell.only_run() / "report.md").read_text(encoding="utf-8")
    assert "nearest" in page
    assert "33" in page  # a constant answer among three equal classes
    assert (shell.results / "report.md").exists()


def test_a_report_has_its_pictures_from_the_cache_that_is_named(ran):
    pictures = ran.results / "one" / "images.npz"
    pictures.unlink()
    (ran.place / "cache").rename(ran.place / "elsewhere")
    ran.done("report", "one")
    assert not pictures.exists()
    ran.done("report", "one", "--cache-dir", "elsewhere")
    assert pictures.is_file()


def test_each_of_several_data_sets_gets_a_run_once_all_can_be_planned(shell):
    several = ("--dataset", f"{shell.data},digits", "--only", "constant", "--name", "both")
    refused = shell.run(*several[:1], f"digits,{shell.data},nowhere", *several[2:])
    assert refused.returncode == 2
    assert not shell.results.exists()
    answer = shell.run(*several)
    assert answer.returncode == 0, answer.stderr
    assert sorted(path.parent.name for path in shell.results.glob("*/run.json")) == [
        "both-bars",
        "both-digits",
    ]
    page = shell.results / "side-by-side-both-bars-and-digits" / "report.md"
    assert answer.stdout.endswith(f"Across the data sets: see {page.relative_to(shell.place)}\n")
    assert "**Accuracy on each data set**" in page.read_text(encoding="utf-8")


def test_a_run_may_train_on_one_data_set_and_test_on_another(shell):
    other = write_npz(shell.place / "other.npz", (4, 7, 61), train_count=60, test_count=30)
    both = ("--models", shell.models, "--train-on", shell.data, "--test-on", other)
    answer = shell(
        "run", *both, "--only", "nearest", "--measure", "none", "--threads", "1", "--name", "across"
    )
    assert answer.returncode == 0, answer.stderr
    page = (shell.results / "across" / "report.md").read_text(encoding="utf-8")
    assert "Images: bars, tested on other, 6 x 5 pixels" in page
    assert "Whether bars and other share writers was not checked" in page
    assert "was not checked" in (shell.results / "across" / "report.html").read_text(encoding="utf-8")
    assert shell("verify", "across").returncode == 0
    assert shell("repeat", "across").returncode == 0
    alone = shell("run", "--train-on", shell.data)
    assert "--train-on and --test-on belong together" in alone.stderr


def test_every_way_to_crash_is_a_row_and_the_other_trials_run(shell):
    fates = {
        "raising_markup": "failed",
        "hanging": "timeout",
        "crashing": "crashed",
        "exiting": "crashed",
        "printing": "ok",
        "steady": "ok",
    }
    ways = f"stub.how={','.join(fates)}"
    answer = shell.run("--only", "stub", "--set", ways, "--timeout", "4", "--json")
    assert answer.returncode == 1
    rows = map(json.loads, answer.stdout.splitlines())
    assert {row["parameters"]["how"]: row["status"] for row in rows} == fates
    page = (shell.only_run() / "report.md").read_text(encoding="utf-8")
    assert "SIGSEGV" in page
    assert "exit status 0" in page
    assert "4 s, its time limit" in page
    assert "\x1b" not in page


def test_json_prints_an_object_with_the_promised_keys_for_each_variant_and_size(shell):
    several = ("--set", "nearest.power=1,10", "--train-size", "80,0", "--seeds", "1")
    answer = shell.run("--only", "nearest", *several, "--json")
    assert answer.returncode == 0, answer.stderr
    assert "is one seed" not in answer.stderr
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(row["train_size"], row["parameters"]["power"]) for row in rows] == [
        *((80, 1.0), (80, 10.0)),
        *((None, 1.0), (None, 10.0)),
    ]
    assert len({row["id"] for row in rows}) == 4
    for row in rows:
        assert (row["model"], row["seed"], row["status"], row["accuracy"]) == ("nearest", 1, "ok", 1.0)
        assert row["fit_seconds"] > 0
        assert row["predict_seconds"] > 0
        assert row["peak_rss_bytes"] > 10_000_000
    assert "standard-bars" in shell.only_run().name


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        pytest.param(signal.SIGTERM, id="sigterm", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_all_trials_keeps_what_is_done_and_resumes(shell, number):
    jobs = min(2, len(usable_cores()))
    ways = ("--set", "stub.how=steady,hanging,stubborn")
    process = shell.start(*shell.new("--jobs", jobs, "--only", "stub", *ways))
    wait_for(lambda: any("\n" in path.read_text() for path in shell.results.glob("*/records.jsonl")))
    wait_for(lambda: len(descendants(process.pid)) >= jobs)
    children = descendants(process.pid)
    process.send_signal(number)
    assert process.stderr.readline() == "mnistbench: stopping; this takes a few seconds.\n"
    process.send_signal(number)  # as an impatient user does
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert not [child for child in children if child.is_running()]
    assert "run --resume" in err
    assert "1 ok, 2 not run" in out
    assert "not run" in (shell.only_run() / "report.md").read_text(encoding="utf-8")
    assert [r.trial.parameters["how"] for r in RunFolder(shell.only_run()).records()] == ["steady"]

    hint = shell.run("--only", "constant")
    assert "was interrupted with 1 of 3 trials done" in hint.stderr


@pytest.mark.slow
def test_a_terminated_run_restores_the_terminal(shell):
    pytest.importorskip("termios")
    import pty
    import termios

    command = shell.new("--only", "stub", "--set", "stub.how=hanging")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(shell.place)
        os.execv(sys.executable, [sys.executable, "-m", "mnistbench", *map(str, command)])
    before = termios.tcgetattr(terminal)
    output = b""
    while b"stub" not in output:
        output += os.read(terminal, 10_000)
    assert b"\x1b[?25l" in output  # the cursor is hidden
    os.kill(child, signal.SIGTERM)
    while b"interrupted; finished trials are kept" not in output:
        output += os.read(terminal, 10_000)
    assert output.rindex(b"\x1b[?25h") > output.rindex(b"\x1b[?25l")
    assert termios.tcgetattr(terminal) == before
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    os.close(terminal)


OF_ANY_RUN = {"backend", "scheduler", "results", "cache_dir", "trial", "offline", "quiet", "json"}


@pytest.mark.parametrize(
    ("typed", "kept"), [(["--resume"], {"resume"}), (["--trial", "x/1"], {"name"})], ids=["resume", "trial"]
)
def test_an_option_that_would_change_nothing_is_refused(typed, kept):
    command = typer.main.get_command(app).commands["run"]
    settled = [each for each in command.params if each.name not in {*OF_ANY_RUN, *kept, "run_name"}]
    assert {each.name for each in settled} >= {"suite", "seeds", "set_", "validation"}
    for parameter in settled:
        values = {"unseen": ["drop"], "measure": ["none"], "validation": [], "resume": []}
        option, *_ = parameter.opts
        complaint = f"{option} has no effect with {typed[0]}, which follows the run's own plan"
        with pytest.raises(UsageError, match=complaint):
            app(["run", *typed, option, *values.get(parameter.name, ["1"])], standalone_mode=False)


def test_one_trial_is_run_again_after_its_model_was_corrected(shell):
    shell.run("--only", "constant,stub", "--set", "stub.how=raising")
    run = shell.only_run()
    again = re.search(r"mnistbench (run --trial \S+/[0-9a-f]+)", (run / "report.md").read_text())
    stub = shell.models / "stub.py"
    stub.write_text(stub.read_text().replace("raise ValueError", "str"))
    answer = shell(*again[1].split(), "--name", "corrected")
    assert answer.returncode == 0, answer.stderr
    (line,) = (shell.results / "corrected" / "records.jsonl").read_text().splitlines()
    assert json.loads(line)["trial"]["model"] == "stub"
    assert json.loads(line)["status"] == "ok"


def test_without_mnist_the_run_uses_digits_and_reports_it(shell):
    answer = shell("run", "--only", "logreg", "--offline", "--timeout", "100", "--measure", "none")
    assert answer.returncode == 0, answer.stderr
    assert "MNIST is unavailable; using digits instead" in answer.stderr
    page = (shell.results / "report.md").read_text(encoding="utf-8")
    assert re.search("^# .*digits", page, re.MULTILINE)


def test_a_run_beyond_the_data_set_trains_on_synthetic_images_and_every_table_says_so(shell):
    answer = shell.run("--only", "nearest", "--train-size", "300,400", "--validation", "--name", "beyond")
    assert answer.returncode == 0, answer.stderr
    assert "Making 10,000 synthetic images of bars" in answer.stderr
    folder = shell.results / "beyond"
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert "nearest (400 images, " in page
    assert "Synthetic images are small deformations of the training images that are not held out" in page
    for table in (folder / "tables").glob("*.csv"):
        text = table.read_text(encoding="utf-8")
        assert ("nearest" in text) == ("synthetic" in text), table.name
    assert shell.done("verify", "beyond")
    (shell.results / "beyond" / "records.jsonl").unlink()
    again = shell("run", "--resume", "beyond", "--offline")
    assert again.returncode == 0, again.stderr
    assert "Making" not in again.stderr
