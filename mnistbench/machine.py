"""Describes this machine and measures its current speed.

`environment` describes the machine, its limits, the libraries and the commit. `calibrate` times a few fixed
kernels, so that times on two machines can be compared. The kernels represent what training spends its time
on: a matrix product (dense layers, kernels), a memory copy (bandwidth), a loop in pure Python (the
interpreter), and a dependent gather (walking trees). A fit time divided by the calibration unit is
independent of the machine's speed as far as the model's mix of work resembles the kernels'. The ratio of
calibrations before and after a run is the drift.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from timeit import timeit

_LOOKS_SECONDS = (0.1, 0.5, 0.5, 0.5)  # Linux counts the time of a core in ticks of 0.01 s
# The distributions that can change a result or a timing; those not installed are left out.
_LIBRARIES = (
    "mnistbench",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "scikit-learn-intelex",
    "xgboost",
    "keras",
    "tensorflow",
    "torch",
    "jax",
    "joblib",
    "threadpoolctl",
    "distributed",
)


@dataclass(frozen=True)
class Environment:
    """A machine as one process sees it."""

    host: str  # the machine's network name
    cpu: str  # the processor's name according to the system
    logical_cores: int  # cores of the machine, hyper-threads included
    usable_cores: int  # cores this process may use under its affinity and container quota
    memory_bytes: int  # memory this process may use: the container's limit, else the machine's
    system: str  # operating system and its release
    python: str  # implementation and version of Python
    libraries: dict[str, str]  # version of each installed library that can change a result
    commit: str | None  # of the source tree, with "+changes" if it has any; None outside git
    gpus: tuple[str, ...]  # names of the NVIDIA GPUs

    @property
    def machine(self) -> tuple[object, ...]:
        """The attributes that must agree before the seconds of two trials are compared."""
        return self.host, self.cpu, self.logical_cores, self.usable_cores, self.gpus


@cache
def environment() -> Environment:
    """Describe the machine and the installation this process runs on."""
    import psutil

    return Environment(
        host=platform.node() or "unknown",
        cpu=_cpu_name(),
        logical_cores=psutil.cpu_count() or 1,
        usable_cores=len(usable_cores()),
        memory_bytes=usable_memory_bytes(),
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=_library_versions(),
        commit=_commit(),
        gpus=_gpus(),
    )


def usable_cores() -> tuple[int, ...]:
    """Return the numbers of the cores this process may use.

    They respect the affinity mask and a container's CPU quota, rounded up (joblib's `cpu_count` reads both).
    Without affinity masks the cores are numbered from 0.
    """
    import joblib

    count = joblib.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0))[:count])
    return tuple(range(count))


def free_cores(cores: tuple[int, ...]) -> tuple[int, ...]:
    """Return those of the cores, at least one, that other programs leave free now.

    A library's threads wait for each other after every step. With as many threads as cores, and another
    program on one of the cores, each step waits until that program's turn is over: XGBoost then takes over
    ten times as long, with one thread fewer about twice as long. What is over within a second is ignored.
    """
    if len(cores) == 1 or _running_tasks() == 1:
        return cores
    count = 1
    for seconds in _LOOKS_SECONDS:
        busy = _busy_shares(cores, seconds)
        count = max(count, round(len(cores) - sum(busy.values())))
        if count == len(cores):
            return cores
    return tuple(sorted(sorted(cores, key=lambda core: busy[core])[:count]))


def _running_tasks() -> int:
    """Return how many threads run or wait for a core on this machine, this one included; 0 if unknown.

    The fourth field of /proc/loadavg (proc_loadavg(5)), which costs nothing to read.
    """
    fields = _read("/proc/loadavg").split()
    return int(fields[3].partition("/")[0]) if len(fields) > 3 else 0


def _busy_shares(cores: Sequence[int], seconds: float) -> dict[int, float]:
    """Watch the cores for some seconds; return the share of the time that each was busy, 0 if unknown."""
    import psutil

    # Of less than a second psutil gives too small percentages, so that only their ratios tell; of a sleeping
    # core Linux may count nothing. The times of guests are in those of user and nice, too.
    shares = []
    for looked in psutil.cpu_times_percent(seconds, percpu=True):
        counted = {kind: share for kind, share in looked._asdict().items() if "guest" not in kind}
        free = counted["idle"] + counted.get("iowait", 0.0)
        total = sum(counted.values())
        shares.append(1 - free / total if total else 0.0)
    return {core: shares[core] if core < len(shares) else 0.0 for core in cores}


def usable_memory_bytes() -> int:
    """Return the memory this process may use, in bytes: the container's limit, or else the machine's."""
    import psutil

    total = int(psutil.virtual_memory().total)
    limits = [
        int(text)
        for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
        if (text := _read(path)).isdigit()
    ]
    return min([total, *limits])


def git(*arguments: str) -> str | None:
    """Return git's output for this package's source tree; None without git or a source tree."""
    # A git hook sets GIT_DIR and others, which would make git use the hook's repository.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603 - fixed program, arguments from this package alone
            ["git", "--no-optional-locks", *arguments],  # noqa: S607 - found on the user's own PATH
            cwd=Path(__file__).parent,
            env=variables,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _commit() -> str | None:
    if not (Path(__file__).parent.parent / ".git").exists():
        return None  # an installed wheel inside someone else's repository has no commit of its own
    commit = git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if changed else commit


def _library_versions() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


def _cpu_name() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode == 0:
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def _gpus() -> tuple[str, ...]:
    folder = Path("/proc/driver/nvidia/gpus")
    if not folder.is_dir():
        return ()
    return tuple(
        line.partition(":")[2].strip()
        for information in sorted(folder.glob("*/information"))
        for line in _read(information).splitlines()
        if line.startswith("Model:")
    )


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


_ROUNDS = 5
_MATRIX_SIZE = 1_024
_COPY_BYTES = 128 * 2**20
_LOOP_STEPS = 1_000_000
_GATHER_SIZE = 2**20
_GATHER_STEPS = 12


@dataclass(frozen=True)
class Calibration:
    """Raw seconds of each kernel, one value per round, in a fresh process after one warm-up."""

    matrix_product_seconds: tuple[float, ...]  # of two 1,024 x 1,024 float32 matrices, on all cores
    memory_copy_seconds: tuple[float, ...]  # copy of 128 MiB
    python_loop_seconds: tuple[float, ...]  # a million additions in a Python loop
    gather_seconds: tuple[float, ...]  # twelve dependent look-ups for each of 2**20 entries, as in trees

    @property
    def medians(self) -> dict[str, float]:
        """The median of each kernel, in seconds."""
        return {name: statistics.median(values) for name, values in asdict(self).items()}

    @property
    def unit_seconds(self) -> float:
        """The calibration unit: the geometric mean of the kernels' medians, in seconds."""
        return statistics.geometric_mean(self.medians.values())


def drift(before: Calibration, after: Calibration) -> float:
    """Return the drift of the machine's speed: the largest relative change of a kernel's median.

    0.1 means that some kernel became 10 % slower, or faster by the same factor.
    """
    earlier, later = before.medians, after.medians
    return max(math.exp(abs(math.log(later[name] / earlier[name]))) - 1 for name in earlier)


def calibrate(cores: Sequence[int], variables: dict[str, str]) -> Calibration:
    """Run the kernels in a fresh process pinned to the cores.

    The environment variables set the sizes of its thread pools.

    Raises:
        subprocess.SubprocessError: The process failed or took over a minute.
    """
    answer = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "mnistbench.machine", ",".join(map(str, cores))],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    values = json.loads(answer.stdout)
    return Calibration(**{name: tuple(seconds) for name, seconds in values.items()})


def main() -> None:
    """Pin this process to the cores named on the command line, run the kernels and print JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in sys.argv[1].split(",")])
    json.dump(asdict(_time_kernels()), sys.stdout)


def _time_kernels() -> Calibration:
    import numpy as np

    draw = np.random.default_rng(0)
    left = draw.random((_MATRIX_SIZE, _MATRIX_SIZE), dtype=np.float32)
    right = draw.random((_MATRIX_SIZE, _MATRIX_SIZE), dtype=np.float32)
    source = np.ones(_COPY_BYTES, dtype=np.uint8)
    target = np.empty_like(source)
    table = draw.permutation(_GATHER_SIZE).astype(np.int32)

    def gather() -> None:
        index = table
        for _ in range(_GATHER_STEPS):
            index = table[index]

    def loop() -> None:
        total = 0
        for number in range(_LOOP_STEPS):
            total += number

    kernels: dict[str, Callable[[], object]] = {
        "matrix_product_seconds": lambda: left @ right,
        "memory_copy_seconds": lambda: np.copyto(target, source),
        "python_loop_seconds": loop,
        "gather_seconds": gather,
    }
    rounds = [
        {name: timeit(kernel, number=1) for name, kernel in kernels.items()} for _ in range(_ROUNDS + 1)
    ]
    # The first one warms up.
    return Calibration(**{name: tuple(seconds[name] for seconds in rounds[1:]) for name in kernels})


if __name__ == "__main__":
    main()
