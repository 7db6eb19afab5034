"""The command line, end to end: real processes, stub models, a small data set of the tests' own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

STUBS = {
    "constant": '''
        """Always says the first class."""
        import numpy as np
        class Constant:
            def fit(self, X, y):
                return self
            def predict(self, X):
                return np.zeros(len(X), dtype=int)
        def build(seed, C=1.0):
            return Constant()
        ''',
    "nearest": '''
        """Nearest class mean."""
        from sklearn.neighbors import NearestCentroid
        def build():
            return NearestCentroid()
        ''',
    "raising": '''
        """Raises <b>in</b> fit."""
        class Raising:
            def fit(self, X, y):
                raise ValueError("no | such \\x1b[31m luck")
            def predict(self, X): ...
        def build():
            return Raising()
        ''',
    "hanging": '''
        """Never returns from fit."""
        import time
        class Hanging:
            def fit(self, X, y):
                while True:
                    time.sleep(1)
            def predict(self, X): ...
        def build():
            return Hanging()
        ''',
    "crashing": '''
        """Dies by a signal."""
        import os, signal
        class Crashing:
            def fit(self, X, y):
                os.kill(os.getpid(), signal.SIGSEGV)
            def predict(self, X): ...
        def build():
            return Crashing()
        ''',
    "exiting": '''
        """Leaves with status 0."""
        import os
        class Exiting:
            def fit(self, X, y):
                os._exit(0)
            def predict(self, X): ...
        def build():
            return Exiting()
        ''',
    "printing": '''
        """Prints megabytes."""
        import numpy as np
        class Printing:
            def fit(self, X, y):
                print("first words")
                for _ in range(3000):
                    print("x" * 1000)
                print("last words")
                return self
            def predict(self, X):
                return np.zeros(len(X), dtype=int)
        def build():
            return Printing()
        ''',
}
CLASSES = [4, 7, 9, 61]


def dedent(source: str) -> str:
    lines = source.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines) + "\n"


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name, source in STUBS.items():
        (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path):
    """Write four classes of 12 x 10 images, each with a bright patch of its own, as an .npz."""
    draw = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 160), ("test", 40)):
        codes = np.arange(count) % len(CLASSES)
        images = draw.integers(0, 60, size=(count, 12, 10))
        for image, code in zip(images, codes, strict=True):
            image[3 * code : 3 * code + 3] += 150
        arrays[f"x_{part}"] = images.astype(np.uint8)
        arrays[f"y_{part}"] = np.asarray(CLASSES)[codes]
    path = tmp_path / "patches.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def command(tmp_path, models, dataset):
    """Return a function that starts mnistbench in a folder of its own, as a user would."""
    environment = {
        **os.environ,
        "MNISTBENCH_CACHE": str(tmp_path / "cache"),
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mnistbench", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments)
        out, err = process.communicate(timeout=250)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    run.start = start
    run.bench = lambda *arguments: run(
        "run", "--models", models, "--dataset", dataset, "--offline", "--measure", "none", *arguments
    )
    return run


def only_run(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "results").glob("*/run.json")
    return path.parent


def test_a_run_writes_its_report_and_ends_with_status_0(command, tmp_path):
    answer = command.bench("--only", "nearest,constant")
    assert answer.returncode == 0, answer.stderr
    assert "2 ok: see " in answer.stdout
    page = (only_run(tmp_path) / "report.md").read_text(encoding="utf-8")
    assert "nearest" in page
    assert "25" in page  # a constant answer among four equal classes
    assert (tmp_path / "results" / "report.md").exists()


def test_every_death_of_a_model_is_a_row_and_the_rest_goes_on(command, tmp_path):
    names = ["raising", "hanging", "crashing", "exiting", "printing", "constant"]
    answer = command.bench("--only", ",".join(names), "--timeout", "4", "--json")
    assert answer.returncode == 1
    rows = {row["model"]: row for row in map(json.loads, answer.stdout.splitlines())}
    assert {name: rows[name]["status"] for name in names} == {
        "raising": "failed",
        "hanging": "timeout",
        "crashing": "crashed",
        "exiting": "crashed",
        "printing": "ok",
        "constant": "ok",
    }
    page = (only_run(tmp_path) / "report.md").read_text(encoding="utf-8")
    assert "SIGSEGV" in page
    assert "exit status 0" in page
    assert "4 s, its time limit" in page
    assert "\x1b" not in page


def test_json_prints_one_object_a_trial_with_the_promised_keys(command):
    answer = command.bench("--only", "nearest", "--seeds", "0-1", "--json")
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [row["seed"] for row in rows] == [0, 1]
    for row in rows:
        assert row["model"] == "nearest"
        assert row["status"] == "ok"
        assert row["accuracy"] == 1.0
        assert row["fit_seconds"] > 0
        assert row["predict_seconds"] > 0
        assert row["peak_rss_bytes"] > 10_000_000


def test_quiet_prints_nothing(command):
    answer = command.bench("--only", "constant", "--quiet")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        pytest.param(signal.SIGTERM, id="sigterm", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_keeps_what_is_done_and_resumes(command, models, dataset, tmp_path, number):
    process = command.start(
        *("run", "--models", models, "--dataset", dataset, "--offline", "--timeout", "20"),
        *("--only", "constant,hanging,nearest"),
    )
    deadline = time.monotonic() + 60
    while not any("\n" in path.read_text() for path in (tmp_path / "results").glob("*/records.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "run --resume" in err
    assert "1 ok, 2 not run" in out
    assert "not run" in (only_run(tmp_path) / "report.md").read_text(encoding="utf-8")

    hint = command(
        "run", "--dataset", dataset, "--models", models, "--only", "constant", "--results", "results"
    )
    assert "was interrupted with 1 of 3 trials done" in hint.stderr


@pytest.mark.slow
def test_a_terminated_run_puts_the_terminal_right(models, dataset, tmp_path):
    pytest.importorskip("termios")
    import pty
    import termios

    command = ["run", "--models", models, "--dataset", dataset, "--offline", "--only", "hanging"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-m", "mnistbench", *map(str, command)])
    before = termios.tcgetattr(terminal)
    output = b""
    while b"hanging" not in output:
        output += os.read(terminal, 10_000)
    assert b"\x1b[?25l" in output  # the cursor is hidden
    os.kill(child, signal.SIGTERM)
    while b"interrupted; finished trials are kept" not in output:
        output += os.read(terminal, 10_000)
    assert output.rindex(b"\x1b[?25h") > output.rindex(b"\x1b[?25l")
    assert termios.tcgetattr(terminal) == before
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    os.close(terminal)


@pytest.mark.slow
def test_resume_runs_only_what_is_missing(command, models, dataset, tmp_path):
    command.bench("--only", "constant,nearest")
    run = only_run(tmp_path)
    records = run / "records.jsonl"
    first, second = records.read_text(encoding="utf-8").splitlines()
    records.write_text(first + "\n" + second[:50], encoding="utf-8")  # a write that power loss tore
    answer = command("run", "--resume", "--json")
    assert answer.returncode == 0, answer.stderr
    (row,) = map(json.loads, answer.stdout.splitlines())
    assert row["model"] == "nearest"
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    assert [line["trial"]["model"] for line in lines] == ["constant", "nearest"]
    assert "no interrupted run" in command("run", "--resume").stderr


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (("--resume", "--only", "svm"), "--only changes nothing with --resume"),
        (("--resume", "--name", "other"), "--name changes nothing with --resume"),
        (("--trial", "x/1", "--set", "svm.C=1"), "--set changes nothing with --trial"),
        (("--trial", "x/1", "--train-size", "100"), "--train-size changes nothing with --trial"),
    ],
)
def test_what_an_earlier_plan_has_settled_is_not_passed_over(command, typed, complaint):
    answer = command("run", *typed)
    assert answer.returncode == 2
    assert f"{complaint}, which keeps to the run's own plan" in answer.stderr


def test_one_trial_is_run_again_once_its_model_is_mended(command, models, tmp_path):
    command.bench("--only", "constant,raising")
    run = only_run(tmp_path)
    again = re.search(r"mnistbench (run --trial \S+/[0-9a-f]+)", (run / "report.md").read_text())
    (models / "raising.py").write_text((models / "constant.py").read_text())
    answer = command(*again[1].split(), "--name", "mended")
    assert answer.returncode == 0, answer.stderr
    (line,) = (tmp_path / "results" / "mended" / "records.jsonl").read_text().splitlines()
    assert json.loads(line)["trial"]["model"] == "raising"
    assert json.loads(line)["status"] == "ok"


def test_resume_refuses_a_model_that_has_changed(command, models, tmp_path):
    command.bench("--only", "constant,nearest")
    records = only_run(tmp_path) / "records.jsonl"
    records.write_text(records.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with (models / "nearest.py").open("a") as file:
        file.write("# another recipe\n")
    answer = command("run", "--resume")
    assert answer.returncode == 2
    assert "has changed since" in answer.stderr


def test_report_is_made_again_from_the_records_alone(command, models, dataset, tmp_path):
    command.bench("--only", "constant,nearest")
    page = only_run(tmp_path) / "report.md"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    dataset.unlink()
    for path in models.glob("*.py"):
        path.unlink()
    answer = command("report")
    assert answer.returncode == 0, answer.stderr
    assert page.read_text(encoding="utf-8") == before


def test_variants_and_sizes_are_trials_of_their_own(command):
    answer = command.bench("--only", "constant", "--set", "constant.C=1,10", "--train-size", "8,0", "--json")
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(row["train_size"], row["parameters"]["C"]) for row in rows] == [
        (8, 1.0),
        (8, 10.0),
        (None, 1.0),
        (None, 10.0),
    ]
    assert len({row["id"] for row in rows}) == 4


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["run", "--only", "logrg"], 2, "Did you mean logreg?"),
        (["run", "--suite", "standart"], 2, "Did you mean standard?"),
        (["run", "--only", "svm", "--set", "svm.c=1"], 2, "no parameter of svm named 'c'"),
        (["run", "--only", "svm", "--set", "C=1"], 2, "expected MODEL.PARAM=VALUE"),
        (
            ["run", "--train-size", "3", "--only", "svm", "--dataset", "digits"],
            2,
            "--train-size 3 is out of range",
        ),
        (["run", "--seeds", "x", "--only", "svm"], 2, "--seeds 'x' is not understood"),
        (["run", "--memory-limit", "many"], 2, "the size 'many' is not understood"),
        (["run", "--threads", "9999"], 2, "--threads 9999"),
        (["run", "--models", "nowhere"], 2, "nowhere is not a folder"),
        (["run", "--dataset", "nowhere", "--offline"], 2, "no data set or folder 'nowhere'"),
        (["run", "--dataset", "mnist", "--offline"], 3, "mnistbench fetch"),
        (["run", "svm"], 2, "--only svm"),
        (["report", "nothing"], 2, "no run named 'nothing'"),
        (["report"], 2, "no run in results yet"),
        (["run", "--frobnicate"], 2, "--frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_clear_message(command, arguments, status, words):
    answer = command(*arguments)
    assert answer.returncode == status, answer.stderr
    assert words in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_debug_shows_the_traceback(command):
    answer = command("run", "--only", "logrg", "--debug")
    assert "Traceback" in answer.stderr


def test_without_mnist_the_run_uses_digits_and_reports_it(command, tmp_path):
    answer = command("run", "--only", "logreg", "--offline", "--timeout", "100", "--measure", "none")
    assert answer.returncode == 0, answer.stderr
    assert "MNIST is unavailable; using digits instead" in answer.stderr
    page = (tmp_path / "results" / "report.md").read_text(encoding="utf-8")
    assert re.search("^# .*digits", page, re.MULTILINE)


def test_list_shows_models_and_suites_and_what_is_wrong_with_a_file(command, models):
    (models / "broken.py").write_text("def build(:\n", encoding="utf-8")
    answer = command("list", "--models", models)
    assert answer.returncode == 0
    for word in ("logreg", "svm", "rf", "xgboost", "mlp", "cnn", "Nearest class mean.", "quick", "standard"):
        assert word in answer.stdout
    assert "is not valid Python" in answer.stdout


def test_two_models_of_one_name_are_refused(command, models):
    (models / "svm.py").write_text('"""Mine."""\ndef build(): ...\n', encoding="utf-8")
    answer = command("list", "--models", models)
    assert answer.returncode == 2
    assert "two models are named svm" in answer.stderr


def test_runs_lists_every_run(command):
    assert "No runs" in command("runs").stdout
    command.bench("--only", "constant")
    listed = command("runs").stdout
    assert "standard-patches" in listed
    assert "complete" in listed


def test_version_and_help(command):
    assert re.fullmatch(r"mnistbench \d+\.\d+\.\d+\n", command("--version").stdout)
    assert "Examples:" in command("run", "--help").stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run --suite q", {"quick"}),
        ("run --only svm,x", {"svm,xgboost", "svm,xgboost_record"}),
        ("verif", {"verify"}),
    ],
)
def test_a_shell_completes_commands_suites_and_models(typed, offered):
    words = f"mnistbench {typed}"
    shell = {
        "_MNISTBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": f"{words.count(' ')}",
    }
    answer = subprocess.run(
        [sys.executable, "-m", "mnistbench"],
        env={**os.environ, **shell},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert set(answer.stdout.split()) == offered
