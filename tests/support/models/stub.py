"""Does one thing that a model may do, `--set stub.how=crashing` for example, and nothing else of note.

A number may follow: `how=spilling-2`. The file FAULTS_STARTS, if any, lists each start of a training.
"""

# ruff: noqa: N805

import contextlib
import ctypes
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(300)"]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "LOKY_MAX_CPU_COUNT")


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class InBuild:
    """What happens instead of an estimator's making."""

    def raises_in_build():
        raise ValueError("depth must be positive, not -1")

    def unprintable():
        raise UnprintableError

    def no_fit():
        return object()


class InFit:
    """What happens in fit; `stub` is the estimator."""

    def steady(stub, X, y):
        stub.means = np.stack([X[y == label].mean(axis=0) for label in range(y.max() + 1)])

    def raising(stub, X, y):
        raise ValueError("no such luck:\n  try again")

    def raising_markup(stub, X, y):
        raise ValueError("no | such \x1b[31m <b>luck</b>")

    def leaving(stub, X, y):
        sys.exit(0)

    def exiting(stub, X, y):
        os._exit(0)

    def crashing(stub, X, y):
        ctypes.string_at(0)

    def signalling(stub, X, y):
        os.kill(os.getpid(), signal.SIGKILL)

    def hanging(stub, X, y):
        while True:
            time.sleep(1)

    def stubborn(stub, X, y):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        InFit.hanging(stub, X, y)

    def waiting(stub, X, y):
        """Wait for a pool whose processes die as soon as they are given work."""
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            pool.map(die, [0])

    def fateful(stub, X, y):
        """Hang as long as there are lives left in a folder, and take one each time."""
        for life in Path(stub.folder).iterdir():
            life.unlink()
            InFit.hanging(stub, X, y)

    # Memory

    def allocating(stub, X, y):
        held = []
        while True:
            held.append(np.ones(2**21))
            time.sleep(0.005)

    def asking_too_much(stub, X, y):
        np.ones(2**58)

    def sharing(stub, X, y):
        """Fork processes that share the memory and allocate none."""
        held = np.ones(2**24)
        children = [os.fork() for _ in range(3)]
        if 0 in children:
            time.sleep(2.5)
            os._exit(0)
        for child in children:
            os.waitpid(child, 0)
        assert held.sum() == len(held)

    # Processes and threads

    def delegating(stub, X, y):
        work = "import time; end = time.monotonic() + 4\nwhile time.monotonic() < end: pass"
        subprocess.run([sys.executable, "-c", work], check=True)

    def breeding(stub, X, y):
        subprocess.Popen(SLEEP, start_new_session=True)
        time.sleep(0.2)

    def escaping(stub, X, y):
        """Start a process in a session of its own, and one that hides its origin."""
        plain = subprocess.Popen(SLEEP, start_new_session=True)
        hidden = subprocess.Popen(SLEEP, start_new_session=True, env={})
        os.write(1, f"children {plain.pid} {hidden.pid}\n".encode())
        time.sleep(2.5)

    def outliving_its_parent(stub, X, y):
        subprocess.Popen(SLEEP, start_new_session=True)
        InFit.hanging(stub, X, y)

    def fleeing(stub, X, y):
        """Leave a process that goes on in a child of a new session, again and again."""
        if os.fork() == 0:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                os.setsid()
                time.sleep(0.03)
                if os.fork():
                    os._exit(0)
            os._exit(0)

    def multiplying(stub, X, y):
        """Fork as far as a test may: ten times over, to 1,024 processes that stay for a while."""
        for _ in range(10):
            os.fork()
        time.sleep(20)

    def leaving_a_thread(stub, X, y):
        threading.Thread(target=time.sleep, args=(600,)).start()

    # Streams

    def reading(stub, X, y):
        assert sys.stdin.read() == ""

    def printing(stub, X, y):
        os.write(1, b"the very first line\n")
        for _ in range(64):
            os.write(1, b"x" * 99_999 + b"\n")
        os.write(2, b"the very last line\n")

    def pouring(stub, X, y):
        """Print a gigabyte."""
        os.write(1, b"the first line\n")
        for _ in range(2**14):
            rest = b"x" * (2**16 - 1) + b"\n"
            while rest:
                rest = rest[os.write(1, rest) :]
        os.write(1, b"the last line\n")

    def warning(stub, X, y):
        for number in range(1000):
            warnings.warn(f"warning {number // 2}\nof many", RuntimeWarning, stacklevel=1)

    def closing_stdout(stub, X, y):
        sys.stdout.close()
        sys.stderr.close()
        for number in (1, 2):
            with contextlib.suppress(OSError):
                os.close(number)
        warnings.warn("nobody hears this", stacklevel=1)

    def replacing_stdout(stub, X, y):
        sys.stdout = sys.stderr = Stub("no file", "")

    def spying(stub, X, y):
        """Print where and with what it runs."""
        seen = {name: os.environ.get(name) for name in THREADS}
        seen |= {"folder": str(Path.cwd()), "session": os.getsid(0) == os.getpid()}
        seen["cores"] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        os.write(1, f"SEEN {json.dumps(seen)}\n".encode())

    def noting(stub, X, y):
        """Write when it ran, so many tenths of a second long, and on which cores."""
        began = time.time()
        time.sleep(stub.number / 10)
        note = {"cores": sorted(os.sched_getaffinity(0)), "began": began, "ended": time.time()}
        note["threads"] = os.environ["OMP_NUM_THREADS"]
        (Path(stub.folder) / f"{os.getpid()}.json").write_text(json.dumps(note))

    def growing(stub, X, y):
        """Work for so many milliseconds an image."""
        work_for(stub.number * len(X) / 1e3)

    def swelling(stub, X, y):
        """Work for so many microseconds for each pair of images."""
        work_for(stub.number * len(X) ** 2 / 1e6)

    def reporting(stub, X, y):
        """Report progress with numpy's own integers."""
        stub.engine_, stub.device_ = "stub engine 1.0", "an abacus"
        for step in range(1, 9):
            time.sleep(0.15)
            stub.on_progress(np.int64(step), np.int64(8), "round")

    def staging_badly(stub, X, y):
        """Report progress, but predict with no stage."""
        stub.on_progress(1, 1, "epoch")

    # Files

    def moving(stub, X, y):
        """Leave the folder and remove it, empty the environment, and spoil every global state."""
        folder = Path.cwd()
        os.chdir("/")
        shutil.rmtree(folder)
        os.environ.clear()
        random.seed(0)
        np.random.seed(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.path.clear()

    def forging(stub, X, y):
        """Leave a result of its own making."""
        (Path.cwd().parent / "result.json").write_text('{"status": "ok", "measurement": {"fit_seconds": -1}}')
        os._exit(0)

    def unpicklable(stub, X, y):
        stub.transform = lambda image: image

    def erasing(stub, X, y):
        """Delete the results under the run."""
        results = Path(os.environ["FAULTS_RESULTS"])
        assert results.name == "results"
        shutil.rmtree(results)

    def spilling(stub, X, y):
        """Fill the disk of the results to all but so many pages, in the first training."""
        disk, starts = Path(os.environ["FAULTS_DISK"]), Path(os.environ["FAULTS_STARTS"])
        if starts.read_text().count("spilling") == 1:
            free = os.statvfs(disk)
            assert free.f_blocks * free.f_frsize <= 8 * 2**20, "this is no small disk of a test"
            (disk / "ballast").write_bytes(bytes(max(0, free.f_bavail - stub.number) * free.f_frsize))


class InPredict:
    """What happens in predict, in place of the first class for each image."""

    def raises_in_predict(X):
        raise KeyError("weights")

    def aborting(X):
        os.abort()

    def removing_results(X):
        shutil.rmtree(Path.cwd().parent, ignore_errors=True)
        return np.zeros(len(X), dtype=int)

    def no_answer(X):
        return None

    def ragged(X):
        return [[0] * (i % 3) for i in range(len(X))]

    def wrong_length(X):
        return np.zeros(len(X) - 1, dtype=int)

    def wrong_dtype(X):
        return np.full(len(X), 0.5)

    def unknown_labels(X):
        return np.full(len(X), 99)


class AsProbabilities:
    """What predict_proba returns, beside the first class for each image; no other stub has the method."""

    def disagreeing(X):
        return np.tile(np.eye(10)[1], (len(X), 1))

    def nan_probabilities(X):
        return np.full((len(X), 10), np.nan)

    def wrong_columns(X):
        return np.ones((len(X), 1))

    def wrong_sums(X):
        return np.full((len(X), 10), 0.2)

    def half_precision(X):
        scores = np.random.default_rng(0).random((len(X), 10)).astype(np.float16)
        scores[:, 0] = 2
        return scores / scores.sum(axis=1, keepdims=True)


def work_for(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def die(_):
    os.write(2, b"the work\ncannot be done\n")
    os._exit(1)


class Stub:
    means = None

    def __init__(self, how, folder):
        self.how, _, number = how.partition("-")
        self.number, self.folder = int(number or 0), folder
        if self.how in ("reporting", "staging_badly"):
            self.on_progress = None

    def fit(self, X, y):
        if starts := os.environ.get("FAULTS_STARTS"):
            with Path(starts).open("a") as file:
                file.write(f"{self.how}-{self.number}\n")
        if act := vars(InFit).get(self.how):
            act(self, X, y)
        return self

    def predict(self, X):
        if act := vars(InPredict).get(self.how):
            return act(X)
        if self.means is not None:
            return ((X[:, None] - self.means) ** 2).sum(axis=2).argmin(axis=1)
        return np.zeros(len(X), dtype=int)

    def staged_predict(self, X):
        raise RuntimeError("no such stage")

    @property
    def predict_proba(self):
        return getattr(AsProbabilities, self.how)


def build(how="steady", folder=""):
    if act := vars(InBuild).get(how):
        return act()
    known = {**vars(InFit), **vars(InPredict), **vars(AsProbabilities)}
    if how.partition("-")[0] not in known:
        raise ValueError(f"no stub does that: {how}")
    return Stub(how, folder)
