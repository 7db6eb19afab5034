"""Set-up: the Makefile, `.ci/setup`, the lock file and the wheel.

A small project with the real Makefile and the real `.ci/setup` stands in for the package, so that whole
installations, killed ones and two at once take seconds and need no network.
"""

import itertools
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.processes import wait_for

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / ".requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The minor versions of Python 3 that the package takes.
SUPPORTED = [
    minor for minor in range(30) if SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.0")
]

# The stand-in's build backend. It logs each build, and waits while there is a file called "hang".
BACKEND = """
import os, time, zipfile

DIST_INFO = "mnistbench-1.dist-info/"

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    with open("builds.log", "a") as log:
        log.write("build\\n")
    end = time.monotonic() + 60
    while os.path.exists("hang") and time.monotonic() < end:
        time.sleep(0.05)
    name = "mnistbench-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr("mnistbench_path.pth", os.getcwd())
        wheel.writestr(
            DIST_INFO + "METADATA",
            "Metadata-Version: 2.1\\nName: mnistbench\\nVersion: 1\\n"
            "Provides-Extra: dev\\nProvides-Extra: distributed\\nProvides-Extra: gpu\\n",
        )
        wheel.writestr(DIST_INFO + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr(DIST_INFO + "entry_points.txt", "[console_scripts]\\nmnistbench = standin:main\\n")
        wheel.writestr(DIST_INFO + "RECORD", "")
    return name
"""

STANDIN = """
import json, os, sys

def main():
    print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "python": sys.version_info[:2]}))
    return 3 if "no-data" in sys.argv else 0
"""

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "mnistbench"
version = "1"

[project.optional-dependencies]
dev = []
distributed = []
gpu = []
"""


def write_standin(folder: Path) -> Path:
    (folder / ".ci").mkdir(parents=True)
    shutil.copy2(ROOT / "Makefile", folder)
    shutil.copy2(ROOT / ".ci" / "setup", folder / ".ci")
    (folder / ".requirements.lock").write_text("# nothing to pin\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (folder / "backend.py").write_text(BACKEND, encoding="utf-8")
    (folder / "standin.py").write_text(STANDIN, encoding="utf-8")
    return folder


def environment(**changes: str) -> dict[str, str]:
    """The test's own environment without what an outer make put there, and with pip kept off the network."""
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "EXTRAS", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if name not in outer}
    return kept | {"PIP_NO_INDEX": "1", "PYTHON": sys.executable} | changes


def of_make(folder: Path, *arguments: str) -> list[str | Path]:
    """Return the command line of make; where there is none, the test is skipped."""
    if os.name != "posix" or shutil.which("make") is None:
        pytest.skip("make is not on this machine")
    return ["make", "-C", folder, *arguments]


def make(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        of_make(folder, "--no-print-directory", *arguments),
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def make_in_background(folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make setup` in a session of its own, of which nothing is left at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            of_make(folder, "setup"),
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        (folder / "hang").unlink(missing_ok=True)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def builds(folder: Path) -> int:
    log = folder / "builds.log"
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0


def runs(folder: Path) -> bool:
    """Whether `make list` reaches the installed program in this folder."""
    answer = make(folder, "list")
    return answer.returncode == 0 and json.loads(answer.stdout.splitlines()[-1])["folder"] == str(folder)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The stand-in, set up, in a folder with spaces in its name."""
    folder = write_standin(tmp_path_factory.mktemp("set up") / "a clone")
    answer = make(folder, "setup")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


@pytest.fixture
def moved(installed, tmp_path):
    """A copy of the stand-in, with its installation, in another folder."""
    return Path(shutil.copytree(installed, tmp_path / "moved", symlinks=True))


def assert_refused(answer: subprocess.CompletedProcess[str], *texts: str) -> None:
    assert answer.returncode != 0
    assert [text for text in texts if text not in answer.stderr] == []


def test_make_alone_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    answer = make(ROOT)
    assert answer.returncode == 0
    assert re.findall(r"^  ([a-z-]+) +[A-Z]", answer.stdout, re.MULTILINE) == targets
    assert {"setup", "bench", "test", "test-all", "check", "report", "fetch", "clean"} <= set(targets)


def test_a_second_call_does_no_work(installed):
    before = builds(installed), (installed / ".venv/mnistbench-setup").stat().st_mtime_ns
    start = time.perf_counter()
    answer = make(installed, "setup")
    seconds = time.perf_counter() - start
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert (builds(installed), (installed / ".venv/mnistbench-setup").stat().st_mtime_ns) == before
    assert seconds < 1


def test_arguments_pass_through_make(installed):
    answer = make(installed, "bench", """ARGS=--only cnn,svm --set 'svm.C=1, 10' --models "my models" """)
    expected = ["run", "--only", "cnn,svm", "--set", "svm.C=1, 10", "--models", "my models"]
    assert json.loads(answer.stdout)["arguments"] == expected


def test_make_shows_the_exit_status_of_the_program(installed):
    answer = make(installed, "bench", "ARGS=no-data")
    assert answer.returncode == 2
    assert re.search(r"\bbench\b.* Error 3", answer.stderr)


def test_a_changed_lock_file_brings_the_installation_up_to_date(installed):
    before = builds(installed)
    (installed / ".requirements.lock").write_text("# another\n", encoding="utf-8")
    first, second = make(installed, "setup"), make(installed, "setup")
    assert "up to date" in first.stdout
    assert (first.returncode, second.returncode, second.stdout) == (0, 0, "")
    assert builds(installed) == before + 1


def test_extras_are_added_and_remembered(installed):
    before = builds(installed)
    assert make(installed, "setup", "EXTRAS=gpu").returncode == 0
    assert make(installed, "setup", "EXTRAS=dev gpu").stdout == ""
    assert make(installed, "setup").stdout == ""
    assert builds(installed) == before + 1
    assert (installed / ".venv/mnistbench-setup").read_text().splitlines()[-1] == "dev,distributed,gpu"


def test_an_unknown_extra_is_refused(installed):
    assert_refused(make(installed, "setup", "EXTRAS=gpus"), "no extra called 'gpus'")


@pytest.mark.slow
def test_a_lock_that_cannot_be_installed_is_reported_and_the_next_call_starts_again(moved):
    pyproject, backend = moved / "pyproject.toml", moved / "backend.py"
    pyproject.write_text(PYPROJECT.replace('version = "1"', 'version = "1"\ndependencies = ["no-such"]'))
    backend.write_text(BACKEND.replace("Version: 1\\n", "Version: 1\\nRequires-Dist: no-such\\n"))
    assert_refused(make(moved, "setup"), "no-such", "Set-up failed")
    assert not (moved / ".venv/mnistbench-setup").exists()
    pyproject.write_text(PYPROJECT)
    backend.write_text(BACKEND)
    assert runs(moved)


@pytest.mark.slow
def test_a_moved_folder_is_set_up_anew(moved):
    """The console scripts of a copied or moved .venv would start the old folder's Python."""
    assert "again (it was" in make(moved, "setup").stdout
    assert runs(moved)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["python gone", "python does not start", "another python", "no stamp"])
def test_a_broken_installation_is_made_anew(installed, moved, tmp_path, damage):
    stamp, python = moved / ".venv/mnistbench-setup", moved / ".venv/bin/python"
    stamp.write_text(stamp.read_text().replace(str(installed), str(moved)))
    match damage:
        case "python gone":
            python.unlink()
            python.symlink_to(tmp_path / "an-upgraded-python")
        case "python does not start":
            python.unlink()
            python.write_text("#!/bin/sh\nexit 1\n")
            python.chmod(0o755)
        case "another python":
            version = "{}.{}".format(*sys.version_info)
            stamp.write_text(stamp.read_text().replace(version, "3.10"))
        case "no stamp":
            stamp.unlink()
    assert "again (it was" in make(moved, "setup").stdout
    assert runs(moved)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["everything", "pip", "make"])
def test_a_killed_installation_is_repaired_by_the_next_call(tmp_path, victim):
    folder, log = write_standin(tmp_path / "killed"), tmp_path / "log"
    (folder / "hang").touch()
    with make_in_background(folder, log) as process:
        wait_for(lambda: builds(folder) == 1)
        match victim:
            case "everything":
                os.killpg(process.pid, signal.SIGKILL)
            case "pip":
                family = psutil.Process(process.pid).children(recursive=True)
                [pip] = [child for child in family if {"pip", "install"} <= set(child.cmdline())]
                pip.kill()
            case "make":
                process.kill()
        assert process.wait(timeout=60) != 0
        assert not (folder / ".venv/mnistbench-setup").exists()
    assert victim != "pip" or "Set-up failed" in log.read_text(encoding="utf-8")
    assert runs(folder)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not on this machine")
def test_of_two_set_ups_at_once_one_waits_for_the_other(tmp_path):
    folder, log = write_standin(tmp_path / "shared"), tmp_path / "log"
    (folder / "hang").touch()
    with make_in_background(folder, tmp_path / "first") as first:
        wait_for(lambda: builds(folder) == 1)
        with make_in_background(folder, log) as second:
            wait_for(lambda: "waiting" in log.read_text(encoding="utf-8"))
            (folder / "hang").unlink()
            assert (first.wait(timeout=60), second.wait(timeout=60)) == (0, 0)
    assert builds(folder) == 1
    assert runs(folder)


@pytest.fixture
def machine(tmp_path):
    """A PATH with the tools that set-up needs and no Python; `add` puts a flawed one there."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in filter(
        shutil.which, ("sh", "make", "cat", "cksum", "dirname", "flock", "grep", "mv", "rm", "tr")
    ):
        (tools / tool).symlink_to(shutil.which(tool))

    class Machine:
        folder = write_standin(tmp_path / "bare")

        def add(self, name: str, flaw: str) -> None:
            """Add an interpreter that runs `flaw` before the code after -c."""
            script = tools / name
            flawed = f"import sys; {flaw}; exec(sys.argv.pop())"
            script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{flawed}' \"$@\"\n", encoding="utf-8")
            script.chmod(0o755)

        def setup(self, python: str = "") -> subprocess.CompletedProcess[str]:
            return make(self.folder, "setup", PATH=str(tools), PYTHON=python)

    return Machine()


def test_without_a_supported_python_the_message_lists_what_was_found_and_what_to_do(machine):
    machine.add("python3", "sys.version_info = (3, 9, 2)")
    machine.add("python3.13", 'sys.modules["ensurepip"] = None; sys.version_info = (3, 13, 1)')
    machine.add("python3.12", "sys.exit(127)")
    assert_refused(
        machine.setup(),
        "needs Python 3.11, 3.12 or 3.13",
        "python3 is Python 3.9",
        "python3.13 is Python 3.13 without venv or pip",
        "apt install python3.13-venv",
        "python3.12 does not start",
        "python3.11 is not installed",
        "PYTHON=/path/to",
    )
    assert not (machine.folder / ".venv").exists()


def test_a_python_that_is_too_new_is_refused_though_another_would_do(machine):
    """PYTHON names the one to use; taking another in its place would surprise."""
    machine.add("python3.99", "sys.version_info = (3, 99, 0)")
    (Path(machine.folder.parent) / "bin/python3").symlink_to(sys.executable)
    assert_refused(machine.setup(python="python3.99"), "python3.99 is Python 3.99")


def test_the_first_python_that_will_do_is_taken(machine):
    machine.add("python3", "sys.version_info = (3, 14, 0)")
    machine.add("python3.13", "sys.exit(127)")
    (Path(machine.folder.parent) / "bin/python3.12").symlink_to(sys.executable)
    answer = machine.setup()
    assert answer.returncode == 0, answer.stderr
    assert runs(machine.folder)


def test_clean_keeps_the_results_and_the_installation(tmp_path):
    folder = write_standin(tmp_path / "used")
    kept = ["results/run/records.jsonl", "results/__pycache__/kept.pyc", ".venv/lib/__pycache__/kept.pyc"]
    removed = ["build/x", "dist/x", ".mypy_cache/x", ".pytest_cache/x", ".ruff_cache/x", ".hypothesis/x"]
    removed += ["benchmarks/__pycache__/x", "mnistbench/report/__pycache__/x", "tests/__pycache__/x"]
    for name in kept + removed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert make(folder, "clean").returncode == 0
    assert [name for name in kept + removed if (folder / name).exists()] == kept


def locked_requirements() -> dict[str, Requirement]:
    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    requirements = [Requirement(line) for line in lines]
    locked = {requirement.name: requirement for requirement in requirements}
    assert len(locked) == len(requirements), "one version of each package serves every Python"
    return locked


def test_the_lock_holds_names_versions_and_markers_only():
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[0-9.a-z]+( ; [a-z0-9_ .'<>=!()-]+)?", line, re.IGNORECASE)
        assert "://" not in line


def test_the_lock_satisfies_what_the_package_asks_for():
    locked = locked_requirements()
    asked = itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in map(Requirement, asked):
        [version] = locked[requirement.name].specifier
        assert requirement.specifier.contains(version.version), f"{requirement}: run `make lock`"


def test_the_installed_versions_are_the_locked_ones():
    if Path(sys.prefix) != ROOT / ".venv" or not (ROOT / ".venv/mnistbench-setup").exists():
        pytest.skip("these tests run in another environment than the one that `make setup` makes")
    installed = {}
    for distribution in metadata.distributions():
        installed.setdefault(re.sub(r"[-_.]+", "-", distribution.name).lower(), distribution.version)
    for name, requirement in locked_requirements().items():
        if name in installed and (requirement.marker is None or requirement.marker.evaluate()):
            assert requirement.specifier.contains(installed[name]), f"{name} {installed[name]}"


def test_set_up_takes_the_pythons_that_the_package_takes():
    """The range stands in pyproject.toml and in `.ci/setup`, which must read it with any Python."""
    lowest, highest = re.search(
        r"\((3, \d+)\) <= sys.* <= \((3, \d+)\)", (ROOT / ".ci/setup").read_text()
    ).groups()
    script = {int(lowest.split()[1]), int(highest.split()[1])}
    assert script == {SUPPORTED[0], SUPPORTED[-1]}


def test_the_workflow_tests_every_python_by_targets_that_exist():
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    [listed] = re.findall(r"python: \[(.*)\]", workflow)
    assert [v.strip(' "') for v in listed.split(",")] == [f"3.{minor}" for minor in SUPPORTED]
    targets = re.findall(r"run: make ([a-z-]+)", workflow)
    assert {"setup", "check", "test", "bench"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (None, None),
        ({"accuracy": 0.1}, "rf         FAILED: ok, accuracy 0.1"),
        ({"status": "crashed", "accuracy": None}, "rf         FAILED: crashed"),
        ({"model": "another"}, "rf         FAILED: no trial"),
    ],
)
def test_the_gate_fails_where_a_model_is_below_its_floor_or_absent(change, complaint):
    floors = runpy.run_path(str(ROOT / ".ci/floors.py"))["FLOORS"]["mnist"]
    trials = [{"model": model, "status": "ok", "accuracy": floor} for model, floor in floors.items()]
    for trial in trials:
        if change is not None and trial["model"] == "rf":
            trial |= change
    answer = subprocess.run(
        [sys.executable, ROOT / ".ci/floors.py", "mnist"],
        input="".join(json.dumps(trial) + "\n" for trial in trials),
        capture_output=True,
        text=True,
    )
    assert answer.returncode == (0 if complaint is None else 1)
    assert answer.stdout.count("FAILED") == answer.returncode
    assert complaint is None or complaint in answer.stdout


@pytest.mark.slow
def test_the_wheel_works_from_any_folder_with_its_model_files(tmp_path):
    """Built as `make wheel` builds it, installed beside this environment's libraries, run from elsewhere."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
        timeout=120,
    )
    [wheel] = tmp_path.glob("*.whl")
    model_files = {path.name: path.read_bytes() for path in (ROOT / "benchmarks").glob("*.*")}
    assert "suites.toml" in model_files
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("mnistbench/benchmarks/")]
        assert {Path(name).name: archive.read(name) for name in names} == model_files
        assert not [
            name for name in archive.namelist() if name.split("/")[0] in {"tests", "benchmarks", ".ci"}
        ]

    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = subprocess.run(
        [python, "-c", ask], check=True, capture_output=True, text=True
    ).stdout.strip()
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(site_packages) / "libraries.pth").write_text("\n".join(sorted(libraries)), encoding="utf-8")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def mnistbench(*arguments: str) -> str:
        command = [python.with_name("mnistbench"), *arguments]
        changes = {"MNISTBENCH_CACHE": str(tmp_path / "cache")}
        answer = subprocess.run(
            command, env=environment(**changes), cwd=elsewhere, capture_output=True, text=True, timeout=240
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    listing = mnistbench("list")
    models = {name.removesuffix(".py") for name in model_files if re.fullmatch(r"[^_].*\.py", name)}
    assert not [model for model in models if not re.search(rf"\b{model}\b", listing)]
    trial = json.loads(
        mnistbench("run", "--suite", "quick", "--only", "logreg", "--dataset", "digits", "--json")
    )
    assert (trial["model"], trial["status"]) == ("logreg", "ok")
    assert (elsewhere / "results" / "report.md").is_file()
    where = "import mnistbench; print(mnistbench.__file__)"
    answer = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True, cwd=elsewhere)
    assert Path(answer.stdout.strip()).is_relative_to(venv)
