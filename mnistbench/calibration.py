"""A few fixed kernels that say how fast a machine is, so that times of two machines can be compared.

The kernels stand for what training spends its time on: a matrix product (dense layers, kernels), a memory
copy (bandwidth), a loop in pure Python (the interpreter), and a dependent gather (walking trees). A fit
time divided by the calibration's unit is free of the machine's speed to the extent that the model's mix
of work is like the kernels'. Measured before and after a run, the ratio of the two shows its drift.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

_ROUNDS = 5
_MATRIX = 1_024
_COPY_BYTES = 128 * 2**20
_LOOP = 1_000_000
_GATHER = 2**20
_GATHER_STEPS = 12


@dataclass(frozen=True)
class Calibration:
    """Raw seconds of each kernel, a value a round; fresh process, warmed up once.

    Attributes:
        matrix_product_seconds: Product of two 1,024 x 1,024 float32 matrices, on all cores of the process.
        memory_copy_seconds: Copy of 128 MiB.
        python_loop_seconds: A million additions in a Python loop.
        gather_seconds: Twelve dependent look-ups for each of 2**20 entries, like walks down a tree.
    """

    matrix_product_seconds: tuple[float, ...]
    memory_copy_seconds: tuple[float, ...]
    python_loop_seconds: tuple[float, ...]
    gather_seconds: tuple[float, ...]

    @property
    def medians(self) -> dict[str, float]:
        """The median of each kernel, in seconds."""
        return {name: statistics.median(values) for name, values in asdict(self).items()}

    @property
    def unit_seconds(self) -> float:
        """The calibration unit: the geometric mean of the kernels' medians, in seconds."""
        return statistics.geometric_mean(self.medians.values())


def drift(before: Calibration, after: Calibration) -> float:
    """Return how far the machine's speed moved: the largest change of a kernel's median, as a share.

    0.1 means that some kernel became 10 % slower, or faster by the same factor.
    """
    earlier, later = before.medians, after.medians
    return max(math.exp(abs(math.log(later[name] / earlier[name]))) - 1 for name in earlier)


def calibrate(cores: Sequence[int], variables: dict[str, str]) -> Calibration:
    """Run the kernels in a fresh process tied to the cores.

    Args:
        cores: The cores to use.
        variables: The environment of that process; it sets the thread pools' sizes.

    Raises:
        subprocess.SubprocessError: The process failed or took over a minute.
    """
    answer = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "mnistbench.calibration", ",".join(map(str, cores))],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    values = json.loads(answer.stdout)
    return Calibration(**{name: tuple(seconds) for name, seconds in values.items()})


def main() -> None:
    """Tie this process to the cores that the command line names, run the kernels and print them as JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in sys.argv[1].split(",")])
    json.dump(asdict(_measured()), sys.stdout)


def _measured() -> Calibration:
    import numpy as np

    draw = np.random.default_rng(0)
    left = draw.random((_MATRIX, _MATRIX), dtype=np.float32)
    right = draw.random((_MATRIX, _MATRIX), dtype=np.float32)
    source = np.ones(_COPY_BYTES, dtype=np.uint8)
    target = np.empty_like(source)
    table = draw.permutation(_GATHER).astype(np.int32)

    def gather() -> None:
        index = table
        for _ in range(_GATHER_STEPS):
            index = table[index]

    def loop() -> None:
        total = 0
        for number in range(_LOOP):
            total += number

    kernels: dict[str, Callable[[], object]] = {
        "matrix_product_seconds": lambda: left @ right,
        "memory_copy_seconds": lambda: np.copyto(target, source),
        "python_loop_seconds": loop,
        "gather_seconds": gather,
    }
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for kernel in kernels.values():
        kernel()
    for _ in range(_ROUNDS):
        for name, kernel in kernels.items():
            before = time.perf_counter()
            kernel()
            seconds[name].append(time.perf_counter() - before)
    return Calibration(**{name: tuple(values) for name, values in seconds.items()})


if __name__ == "__main__":
    main()
