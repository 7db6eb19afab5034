"""The commands as a user types them, and the mistakes that users make."""

import io
import re

import pytest
from support.shell import Shell

from mnistbench.cli import main


def test_the_report_is_written_again_from_the_records_alone(ran, first_run):
    """The paths of the models and of the data set lead nowhere any more."""
    page, plan = (ran.only_run() / name for name in ("report.md", "run.json"))
    place = str(first_run[0].place)
    before = page.read_text(encoding="utf-8")
    page.unlink()
    plan.write_text(plan.read_text(encoding="utf-8").replace(place, "/gone"), encoding="utf-8")
    ran.done("report")
    assert place in before
    assert page.read_text(encoding="utf-8") == before.replace(place, "/gone")


@pytest.fixture(scope="module")
def quiet_place(tmp_path_factory) -> Shell:
    return Shell.made(tmp_path_factory.mktemp("place"))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["run", "--only", "logrg"], 2, "Did you mean logreg?"),
        (["run", "--only", "LOGREG"], 2, "Did you mean logreg?"),
        (["run", "--suite", "standart"], 2, "Did you mean standard?"),
        (["run", "--suite", "Quick"], 2, "Did you mean quick?"),
        (
            ["run", "--only", "svm", "--set", "svm.c=1", "--dataset", "digits"],
            2,
            "no parameter of svm named 'c'",
        ),
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
        (["fetch", "fashion", "--offline"], 2, "Did you mean fashion-mnist?"),
        (["fetch", "kmnist", "--offline"], 3, "There is no intact Kuzushiji-MNIST in the cache"),
        (["run", "svm"], 2, "--only svm"),
        (["run", "svm", "--trial", "x/1"], 2, "names a run, which only --resume takes"),
        (["report", "nothing"], 2, "no run named 'nothing'"),
        (["verify", "two"], 2, "no run named 'two'"),
        (["report"], 2, "no run in results yet"),
        (["compare", "one", "two", "--margin", "nan"], 2, "expected percentage points, e.g. 0.2"),
        (["run", "--frobnicate"], 2, "--frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_clear_message(quiet_place, monkeypatch, arguments, status, words):
    monkeypatch.chdir(quiet_place.place)
    monkeypatch.setenv("MNISTBENCH_CACHE", str(quiet_place.place / "cache"))
    monkeypatch.setattr("sys.argv", ["mnistbench", *arguments])
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status, err.getvalue()
    assert words in " ".join(err.getvalue().split())
    assert "Traceback" not in err.getvalue()
    assert out.getvalue() == ""


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_debug_alone_shows_the_traceback(shell, debug):
    answer = shell("run", "--only", "logrg", *debug)
    assert ("Traceback" in answer.stderr) == bool(debug)
    assert answer.returncode == (1 if debug else 2)
    assert "Did you mean logreg?" in " ".join(answer.stderr.split())


def test_each_named_data_set_is_listed_with_its_size_licence_and_source(shell):
    answer = shell("list", "--datasets", env={"COLUMNS": "200"})
    for words in (
        ("mnist", "60,000", "10,000", "10", "CC BY-SA 3.0", "ossci-datasets.s3.amazonaws.com"),
        ("kuzushiji-49", "232,365", "38,547", "49", "CC BY-SA 4.0", "codh.rois.ac.jp"),
        ("digits", "1,297", "500", "10", "CC BY 4.0", "embedded in scikit-learn"),
    ):
        assert re.search("^" + " +".join(map(re.escape, words)), answer.stdout, re.MULTILINE), answer.stdout
    fetched = shell("fetch", "digits")
    assert "scikit-learn digits, scaled to 28x28: 1,297 training and 500 test images from" in fetched.stdout


def test_list_shows_models_and_suites_and_what_is_wrong_with_a_file(shell):
    (shell.models / "broken.py").write_text("def build(:\n", encoding="utf-8")
    answer = shell("list", "--models", shell.models)
    assert answer.returncode == 0
    models = ("logreg", "svm", "rf", "xgboost", "mlp", "cnn", "Nearest class mean: learns")
    for words in (*models, "quick", "standard", "is not valid Python"):
        assert words in answer.stdout


def test_two_models_of_one_name_are_refused(shell):
    (shell.models / "svm.py").write_text('"""Mine."""\ndef build(): ...\n', encoding="utf-8")
    answer = shell("list", "--models", shell.models)
    assert answer.returncode == 2
    assert re.search(
        r"two models are named svm: \S+/svm\.py and \S+/svm\.py", " ".join(answer.stderr.split())
    )


def test_runs_lists_every_run(ran):
    assert "No runs" in ran("runs", "--results", "nowhere").stdout
    assert re.search("^one .*complete", ran("runs").stdout, re.MULTILINE)


def test_version_and_help_are_printed(shell):
    assert re.fullmatch(r"mnistbench \d+\.\d+\.\d+\n", shell("--version").stdout)
    assert "Examples:" in shell("run", "--help").stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run --suite q", {"quick"}),
        ("run --only svm,x", {"svm,xgboost", "svm,xgboost_record"}),
        ("verif", {"verify"}),
    ],
)
def test_a_shell_completes_commands_suites_and_models(shell, typed, offered):
    words = f"mnistbench {typed}"
    completing = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    answer = shell(env={"_MNISTBENCH_COMPLETE": "complete_bash", **completing})
    assert set(answer.stdout.split()) == offered
