"""The commands in the terminals, shells and places that people have: encodings, pipes, `~`, homes."""

import contextlib
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from support.shell import Shell

BYTES = {"text": False}
ENCODINGS = {"one": "cp1252", "two": "ascii"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the runs "one" and "two", one model of which raises umlauts, and how they ended."""
    shell = Shell.made(tmp_path_factory.mktemp("shell"))
    ends = {
        name: shell.run(
            "--name", name, "--only", "foreign,nearest", env={"PYTHONIOENCODING": encoding}, **BYTES
        )
        for name, encoding in ENCODINGS.items()
    }
    return shell, ends


@pytest.fixture
def shell(made, tmp_path) -> Shell:
    """A folder of the test's own in which they were made."""
    return made[0].copy(tmp_path / "place")


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_an_encoding_cannot_show_is_replaced(made, name):
    answer = made[1][name]
    assert answer.returncode == 1
    out = answer.stdout.decode(ENCODINGS[name])
    assert re.search(r"foreign: failed \(ValueError: gr.?.er als erlaubt: \?\?\? [>?] .\)", out)
    assert "nearest: ok" in out
    assert "1 ok, 1 failed" in out
    assert answer.stderr == b""


@pytest.mark.parametrize(
    "typed",
    [
        ("show", "one"),
        ("compare", "one", "one"),
        pytest.param(("compare", "one", "one", "--markdown"), marks=pytest.mark.slow),
        ("runs",),
        ("list", "--models", "models"),
        pytest.param(("verify", "one"), marks=pytest.mark.slow),
        pytest.param(("report", "one"), marks=pytest.mark.slow),  # which a run writes in cp1252 above
        ("run", "--help"),
        ("--help",),
        ("run", "--only", "größer—大"),
        ("run", "--größer—大"),
    ],
    ids=" ".join,
)
def test_no_command_fails_at_an_encoding(shell, typed):
    known, plain = (shell(*typed, env={"PYTHONIOENCODING": name}, **BYTES) for name in ("utf-8", "ascii"))
    assert plain.returncode == known.returncode
    for expected, found in ((known.stdout, plain.stdout), (known.stderr, plain.stderr)):
        assert len(found.decode("ascii")) == len(expected.decode())
    assert b"internal error" not in plain.stderr


def test_a_run_in_a_latin_1_terminal_is_readable(shell):
    pty = pytest.importorskip("pty")
    ours, its = pty.openpty()
    process = shell.start(
        *shell.new("--only", "foreign,nearest", "--results", "größer大"),
        env={"PYTHONIOENCODING": "latin-1", "TERM": "xterm"},
        stdout=its,
        stderr=its,
        **BYTES,
    )
    os.close(its)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells that the other end was closed
        while chunk := os.read(ours, 65_536):
            shown += chunk
    os.close(ours)
    text = shown.decode("latin-1")
    assert process.wait(timeout=60) == 1, text
    assert re.search(r"nearest +ok .*100\.00 %", text)
    assert re.search(r"1 ok, 1 failed: see größer\?/.*report\.md", text)
    assert "internal error" not in text
    assert not re.search("[\x80-\x9f]", text)  # bytes of UTF-8, which such a terminal takes for control codes


@pytest.mark.parametrize("name", ENCODINGS)
def test_files_are_utf_8_whatever_the_terminal_shows(made, name):
    run = made[0].results / name
    (log,) = (path for path in (run / "logs").iterdir() if "foreign" in path.read_text("utf-8"))
    assert "Größer, 大きい" in log.read_text("utf-8")
    for page in ("report.md", "report.html"):
        assert "größer als erlaubt: 大きい → ∞" in (run / page).read_text("utf-8")


@pytest.mark.parametrize("as_json", [(), pytest.param(("--json",), marks=pytest.mark.slow)])
def test_a_run_continues_when_its_reader_leaves_and_reports_it(shell, as_json):
    process = shell.start(*shell.new("--only", "nearest,constant", "--name", "three", *as_json))
    if not as_json:
        process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(timeout=120) == 0, err
    assert err.count("standard output was closed; the run continues without it") == 1
    assert str(Path("results") / "three" / "report.md") in err
    assert len((shell.results / "three" / "records.jsonl").read_bytes().splitlines()) == 2
    assert (shell.results / "three" / "report.md").exists()


@pytest.mark.parametrize(
    "typed", [("list",), ("runs",), ("show", "one"), ("--help",), ("compare", "one", "one")], ids=" ".join
)
def test_a_reader_that_has_seen_enough_is_no_error(shell, typed):
    reading, writing = os.pipe()
    os.close(reading)
    answer = shell(*typed, stdout=writing)
    os.close(writing)
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_output_that_cannot_be_written_is_an_error(shell):
    with Path("/dev/full").open("w") as full:
        answer = shell("list", stdout=full)
        run = shell.run("--only", "nearest", "--name", "three", stdout=full)
    assert answer.returncode == 1
    assert "the output could not be written: No space left on device" in answer.stderr
    assert run.returncode == 1
    assert (shell.results / "three" / "report.md").exists()


def test_the_home_folder_is_expanded_wherever_a_path_is_typed(shell):
    home = {"HOME": str(shell.place), "USERPROFILE": str(shell.place), "MNISTBENCH_CACHE": None}
    elsewhere = shell.place / "elsewhere"
    elsewhere.mkdir()
    places = ("--dataset=~/bars.npz", "--results=~/my runs", "--cache-dir=~/cached", "--models=~/models")
    run = shell(
        "run", *places, "--only=nearest", "--measure=none", "--name=two", "--quiet", env=home, cwd=elsewhere
    )
    assert run.returncode == 0, run.stderr
    assert (shell.place / "my runs" / "two" / "report.md").exists()
    assert (shell.place / "my runs" / "two" / "images.npz").exists()  # from the cache that the run used
    assert (shell.place / "cached").is_dir()
    assert list(elsewhere.iterdir()) == []
    for typed in (
        ("verify", "two", "--results=~/my runs", "--cache-dir=~/cached"),
        ("report", "~/my runs/two", "results/one", "--output=~/both"),
        ("list", "--models=~/models"),
    ):
        answer = shell(*typed, env=home)
        assert answer.returncode == 0, answer.stderr
    assert (shell.place / "both" / "report.md").exists()
    missing = shell("fetch", "--from=~/nowhere", env=home)
    assert str(shell.place / "nowhere") in missing.stderr


def test_an_unwritable_home_prints_no_warning(shell):
    nowhere = shell.place / "file"
    nowhere.write_text("not a folder")
    home = {
        "HOME": str(nowhere / "home"),
        "XDG_CONFIG_HOME": None,
        "XDG_CACHE_HOME": None,
        "MPLCONFIGDIR": None,
    }
    answer = shell.run("--only", "nearest", "--name", "three", env=home)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    assert "atplotlib" not in answer.stdout


def typed_in(text: str) -> list[str]:
    """Return the words of the one command that a message or a page offers, less the program."""
    (command,) = re.findall(r"`?(mnistbench (?:repeat|report|run|verify) [^`\n]+)", text)
    return shlex.split(command)[1:]


def test_hints_work_as_printed_from_where_they_were_printed(shell):
    made = shell.run(
        "--only", "nearest", "--name", "two", "--results", "my runs", "--seeds", "0-1", "--quiet"
    )
    assert (made.returncode, made.stderr) == (0, "")
    page = (shell.place / "my runs" / "two" / "report.md").read_text("utf-8")
    repeat = typed_in(page.partition("## Repeat this run")[2].partition("It was started as")[0])
    answer = shell(*repeat, "--quiet")
    assert answer.returncode == 0, answer.stderr
    assert "A is two, B is " in answer.stdout
    assert "No regression found." in answer.stdout
    assert "identical predictions" in answer.stdout
    plans = [json.loads(path.read_text()) for path in (shell.place / "my runs").glob("*/run.json")]
    assert len(plans) == 2
    assert plans[0]["trials"] == plans[1]["trials"]

    records = shell.place / "my runs" / "two" / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    (first, *_) = lines
    records.write_bytes(first + b"damaged\n")
    refused = shell("report", "two", "--results", "my runs")
    assert refused.returncode == 1
    records.write_bytes(first)
    answer = shell(*typed_in(refused.stderr), "--quiet")
    assert answer.returncode == 0, answer.stderr
    assert len(records.read_bytes().splitlines()) == 2

    empty = shell("report", "--results", "no runs")
    assert "`mnistbench run --results 'no runs'`" in empty.stderr


def test_a_single_number_is_one_seed_and_the_run_explains_it(shell):
    answer = shell.run("--only", "nearest", "--seeds", "3", "--json")
    assert answer.stdout.count('"seed": 3') == 1
    assert "--seeds 3 is one seed, number 3; for 3 seeds type --seeds 0-2" in answer.stderr
