"""A real Dask scheduler and real workers, for tests to kill; whatever is left ends with the `with` block."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from support.processes import wait_for


class Dask:
    """A scheduler and its workers, each a process of its own that listens on the loopback alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.address = ""
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.all: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Dask":
        self.start_scheduler()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.all:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--scheduler-file", str(file)
        )
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]
        self.port = int(self.address.rpartition(":")[2])

    def start_worker(self, *options: str, **variables: str) -> subprocess.Popen[bytes]:
        number = len(self.workers)
        cache = str(self.folder / f"cache-{number}")
        worker = self._start(
            *(
                "worker",
                self.address,
                *("--host", "127.0.0.1", "--nthreads", "1"),
                *(options or ("--no-nanny",)),
            ),
            *("--local-directory", str(self.folder / f"worker-{number}"), "--name", f"worker-{number}"),
            **{"MNISTBENCH_CACHE": cache, **variables},
        )
        self.workers.append(worker)
        return worker

    def processes(self) -> list[psutil.Process]:
        """Return the processes of trials that the workers have running."""
        found = []
        for worker in self.workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += psutil.Process(worker.pid).children(recursive=True)
        return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def trials(self) -> list[psutil.Process]:
        """Return those of them that train a model."""
        return [process for process in self.processes() if "mnistbench.trial.child" in process.cmdline()]

    def _start(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{arguments[0]}-{len(self.workers)}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dask", *arguments, "--no-dashboard"],
                cwd=self.folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.all.append(process)
        return process
