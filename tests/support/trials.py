"""A small data set on disk, and the stub models in `models/`."""

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistbench.datasets import DatasetInfo, open_arrays
from mnistbench.execution.isolation import Job, run_trial
from mnistbench.machine import usable_cores
from mnistbench.plan.models import read_model_file
from mnistbench.runs.records import Record, Trial

MODELS = Path(__file__).parent / "models"


def own_core() -> tuple[int, ...]:
    """Return one of the cores, another one for each of pytest-xdist's workers as far as they go."""
    cores = usable_cores()
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return (cores[worker % len(cores)],)


CORE = own_core()


def write_dataset(
    folder: Path,
    classes: Sequence[int] = tuple(range(10)),
    *,
    train_count: int = 240,
    test_count: int = 60,
    image_shape: tuple[int, int] = (6, 5),
) -> DatasetInfo:
    """Write images that are noise around a mean of their class, in the layout of `open_arrays`."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(5)
    means = draw.integers(60, 196, (len(classes), *image_shape))
    for part, count in (("train", train_count), ("test", test_count)):
        positions = np.arange(count) % len(classes)
        noise = draw.integers(-20, 21, (count, *image_shape))
        np.save(folder / f"x_{part}.npy", (means[positions] + noise).astype(np.uint8))
        np.save(folder / f"y_{part}.npy", np.asarray(classes, dtype=np.int64)[positions])
    return DatasetInfo(
        name="noise",
        title="Noise",
        source="made by the tests",
        licence="none",
        sha256=open_arrays(folder).sha256(),
        image_shape=image_shape,
        classes=tuple(classes),
        train_count=train_count,
        test_count=test_count,
        arrays_folder=str(folder),
    )


def stub(name: str) -> tuple[Path, dict[str, object]]:
    """Return the file and the parameters of a stub model, named by its stem or by what `stub.py` is to do."""
    path = MODELS / f"{name}.py"
    return (path, {}) if path.exists() else (MODELS / "stub.py", {"how": name})


def write_npz(path: Path, classes: Sequence[int] = tuple(range(10)), **shape: object) -> Path:
    """Write such a data set as an .npz file."""
    folder = Path(write_dataset(path.with_suffix(""), classes, **shape).arrays_folder)
    np.savez(path, **{file.stem: np.load(file) for file in folder.iterdir()})
    shutil.rmtree(folder)
    return path


def job_of(
    model: str | Path,
    *,
    dataset: DatasetInfo,
    timeout_seconds: float = 60,
    memory_limit_bytes: int = 4 * 2**30,
    deadline: float = math.inf,
    expected_seconds: float = 0.0,
    **trial: object,
) -> Job:
    """Return the job of a stub model, or of any model file; it gets its threads whatever else runs."""
    path, parameters = stub(model) if isinstance(model, str) else (model, {})
    file = read_model_file(path)
    parameters = {**file.parameters, **parameters, **trial.pop("parameters", {})}
    described = {"train_size": None, "seed": 0, "threads": 1, **trial, "parameters": parameters}
    return Job(
        trial=Trial(dataset.name, dataset.sha256, model=file.name, **described),
        model=file,
        dataset=dataset,
        timeout_seconds=timeout_seconds,
        memory_limit_bytes=memory_limit_bytes,
        deadline=deadline,
        expected_seconds=expected_seconds,
        fixed_threads=True,
    )


def record_of(job: Job) -> Record:
    """Run a trial alone and return its record."""
    return run_trial(job, CORE).record(job, beside=0)
