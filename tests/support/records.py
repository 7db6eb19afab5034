"""A trial with every value that one may have, its record, the record of a failure, and a plan of both."""

from dataclasses import replace

from mnistbench import machine
from mnistbench.datasets import DatasetInfo
from mnistbench.runs.records import (
    Batches,
    ColdStart,
    Failure,
    Inference,
    MachineLoad,
    Measurement,
    ModelInfo,
    Record,
    RunInfo,
    Status,
    Trial,
)
from mnistbench.stats.scores import quality

TRIAL = Trial(
    dataset="noise",
    dataset_sha256="ab" * 32,
    train_size=100,
    model="svm",
    parameters={"C": 10.0, "gamma": "scale", "depth": None, "flag": True, "sizes": (1, (2, 3))},
    seed=3,
    threads=2,
)
MEASUREMENT = Measurement(
    import_seconds=0.1,
    load_seconds=0.2,
    build_seconds=0.3,
    fit_seconds=4.0,
    fit_cpu_seconds=6.0,
    first_predict_seconds=0.01,
    predict_seconds=0.5,
    predict_cpu_seconds=0.7,
    peak_rss_bytes=2**33,
    baseline_rss_bytes=2**27,
    memory_source="VmHWM",
    model_bytes=None,
    train_images=100,
    test_images=50,
    train_accuracy=1.0,
    engine="scikit-learn 1.7",
    device="cpu",
    warnings=("A: b", "ü"),
    load=MachineLoad(1.0, 0.5, 0.4, 0.0, 2, 8),
    inference=Inference((0.1, 0.2), (Batches(10, 3, 0.5), Batches(100, 1, 0.9))),
    cold_start=ColdStart(2.0, 1.0, 0.5, 0.1, 2**28),
)
QUALITY = quality([4, 7, 4], [4, 4, 4], [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5]], (4, 7))
RECORD = Record(
    trial=TRIAL,
    status=Status.OK,
    started_at="2026-01-01T00:00:00+00:00",
    trial_seconds=6.5,
    beside=0,
    environment=machine.environment(),
    measurement=MEASUREMENT,
    quality=QUALITY,
    predictions_sha256="cd" * 32,
)
FAILED = Record(
    trial=replace(TRIAL, seed=4),
    status=Status.CRASHED,
    started_at="2026-01-01T00:00:00+00:00",
    trial_seconds=1.0,
    beside=1,
    environment=machine.environment(),
    failure=Failure("SIGSEGV", "its process was killed by SIGSEGV", "line 1\nline 2"),
)


def plan_of(dataset: DatasetInfo) -> RunInfo:
    """Return the plan of both trials."""
    return RunInfo(
        name="20260101-000000-quick-noise",
        created_at="2026-01-01T00:00:00+00:00",
        command=("run", "--only", "svm"),
        suite="quick",
        dataset=replace(dataset, arrays_folder=""),
        dataset_spec="noise",
        trials=(TRIAL, FAILED.trial),
        models=(ModelInfo("svm", "A machine.", "ef" * 32, None, {"C": 10.0, "sizes": (1, (2, 3))}),),
        timeout_seconds=60.0,
        memory_limit_bytes=2**30,
        jobs=1,
        measurements=("inference",),
        environment=machine.environment(),
    )
