"""A folder in which mnistbench is started as a user would: with stub models and a small data set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.trials import MODELS, write_npz

CLASSES = (4, 7, 61)


class Shell:
    """Starts the command line in `place`, where `bars.npz` and a folder of stub models lie."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.models = place / "models"
        self.data = place / "bars.npz"

    @classmethod
    def made(cls, place: Path) -> "Shell":
        """Make the folder, with three classes of images that each model tells apart."""
        place.mkdir(exist_ok=True)
        shutil.copytree(MODELS, place / "models", ignore=shutil.ignore_patterns("__pycache__"))
        write_npz(place / "bars.npz", CLASSES, train_count=120, test_count=60)
        return cls(place)

    def copy(self, place: Path) -> "Shell":
        """Return one in a copy of the folder, with all that was run there."""
        return Shell(Path(shutil.copytree(self.place, place)))

    def start(self, *arguments: object, **options: object) -> subprocess.Popen[str]:
        """Start a command, by the program `before` it; variables in `env` that are None are removed."""
        variables = {"MNISTBENCH_CACHE": str(self.place / "cache"), "COLUMNS": "100", "NO_COLOR": "1"}
        environment = {**os.environ, **variables, **options.pop("env", {})}
        return subprocess.Popen(
            [*options.pop("before", ()), sys.executable, "-m", "mnistbench", *map(str, arguments)],
            env={name: value for name, value in environment.items() if value is not None},
            **{"cwd": self.place, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            | options,
        )

    def __call__(self, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **options) as process:
            try:
                out, err = process.communicate(timeout=200)
            finally:
                process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def done(self, *arguments: object, **options: object) -> str:
        """Return the standard output of a command that succeeds."""
        answer = self(*arguments, **options)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def new(self, *arguments: object, command: str = "run") -> list[object]:
        """Return the arguments of a new run of stub models, which go before those of the test."""
        common = ("--models", self.models, "--dataset", self.data, "--offline", "--measure", "none")
        return [command, *common, "--threads", "1", *arguments]

    def run(self, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return self(*self.new(*arguments), **options)

    @property
    def results(self) -> Path:
        return self.place / "results"

    def only_run(self) -> Path:
        (path,) = self.results.glob("*/run.json")
        return path.parent
