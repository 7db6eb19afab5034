"""Makes run folders without training anything: given trials and statuses, seeded random predictions.

The quality of every record is computed from the predictions stored with it, so that a synthetic run is as
consistent as a real one.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnistbench.datasets import DatasetInfo
from mnistbench.datasets.arrays import Arrays
from mnistbench.datasets.corruptions import CORRUPTIONS, conditions
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.machine import Calibration, Environment
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.json import to_json
from mnistbench.runs.predictions import (
    OnCopies,
    decode_predictions,
    encode_predictions,
    encode_truth,
    predictions_digest,
)
from mnistbench.runs.records import (
    Batches,
    ColdStart,
    Failure,
    Forecast,
    Inference,
    LearningCurve,
    MachineLoad,
    Measurement,
    ModelInfo,
    Published,
    Record,
    RunInfo,
    Session,
    Status,
    Trial,
)
from mnistbench.stats.scores import MARGIN, quality

ENVIRONMENT = Environment(
    host="bench-1",
    cpu="Example CPU @ 2.40GHz",
    logical_cores=4,
    usable_cores=2,
    memory_bytes=8_000_000_000,
    system="Linux 6.1 (x86_64)",
    python="CPython 3.11.9",
    libraries={"mnistbench": "0.1.0", "numpy": "2.4.6", "scikit-learn": "1.9.0"},
    commit="0123456789ab",
    gpus=(),
)


@dataclass(frozen=True)
class Model:
    """What a synthetic model does."""

    error_rate: float = 0.05  # the share of images it gets wrong, on average over seeds
    fit_seconds: float = 10.0  # about how long it trains
    probabilities: bool = True  # whether it gives any
    confidence: float = 0.95  # the probability it gives its answer; the rest is spread evenly
    parameters: Mapping[str, Any] = field(default_factory=dict)
    statuses: tuple[Status | None, ...] = ()  # how its trials end, in the order of the plan; then ok
    summary: str = "A synthetic model."
    warnings: tuple[str, ...] = ()  # what its library warned
    published: tuple[Published, ...] = ()  # what others have published about its family


FAILURES = {
    Status.FAILED: Failure(
        "ValueError", "the solver met a NaN", "Traceback ...\nValueError: the solver met a NaN"
    ),
    Status.CRASHED: Failure("SIGSEGV", "the process was killed by signal 11 (segmentation fault)"),
    Status.TIMEOUT: Failure("time limit", "did not end within 3600 s"),
    Status.OUT_OF_MEMORY: Failure("memory limit", "took more than 4000 MB"),
    Status.INVALID: Failure("ContractError", "predict returned shape (3,); expected (10000,)"),
    Status.UNAVAILABLE: Failure("ModuleNotFoundError", "No module named 'sometree'"),
    Status.LEFT_OUT: Failure("time budget", "was not started: it would take about 40.0 s"),
    Status.REFUSED: Failure("Refused", "svm on 600,000 images: about 3 h 5 min and 61,000 MB"),
}


def dataset(classes: Sequence[int] = tuple(range(10)), test_count: int = 1000, **changes: Any) -> DatasetInfo:
    """Describe a data set that need not exist."""
    described = DatasetInfo(
        name="mnist",
        title="MNIST",
        source="https://ossci-datasets.s3.amazonaws.com/mnist/",
        licence="CC BY-SA 3.0",
        sha256=hashlib.sha256(b"synthetic").hexdigest(),
        image_shape=(28, 28),
        classes=tuple(classes),
        train_count=6 * test_count,
        test_count=test_count,
        arrays_folder="",
        fallback_reason=None,
    )
    return dataclasses.replace(described, **changes)


def make_run(
    results: Path,
    models: Mapping[str, Model],
    *,
    name: str = "run",
    data: DatasetInfo | None = None,
    seeds: Sequence[int] = (0,),
    train_sizes: Sequence[int | None] = (None,),
    threads: Sequence[int] = (2,),
    repeats: int = 1,
    split: str = "test",
    variants: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    beside: int = 0,
    serving: bool = False,
    learning: bool = False,
    calibrated: bool = False,
    command: Sequence[str] = ("run", "--suite", "standard"),
    store_labels: bool = True,
    groups: EvaluationGroups | None = None,
    margin: float = MARGIN,
    forecast: Forecast | None = None,
) -> RunFolder:
    """Make a run folder with one trial for every combination; a status of None leaves a trial not run.

    A training size beyond the data set is synthetic. `variants` are parameters in place of those of the
    model, `beside` trials that ran at the same time; `calibrated` notes a session with the machine's speed.
    A learning curve ends at the model's accuracy. `forecast` is what each trial was expected to take.
    """
    data = data or dataset()
    planned = [
        (
            model,
            Trial(
                data.name,
                data.sha256,
                size,
                model,
                parameters,
                seed,
                t,
                split,
                repeat,
                data.holdout or "last",
                synthetic=max((size or 0) - data.train_count, 0),
            ),
        )
        for repeat in range(repeats)
        for model in models
        for parameters in (variants or {}).get(model, [models[model].parameters])
        for size in train_sizes
        for t in threads
        for seed in seeds
    ]
    info = RunInfo(
        name=name,
        created_at="2026-03-14T09:26:53+00:00",
        command=tuple(command),
        suite="standard",
        dataset=data,
        dataset_spec=data.name,
        trials=tuple(trial for _, trial in planned),
        models=tuple(
            ModelInfo(
                m,
                models[m].summary,
                hashlib.sha256(m.encode()).hexdigest(),
                None,
                published=models[m].published,
            )
            for m in models
        ),
        timeout_seconds=3600.0,
        memory_limit_bytes=4_000_000_000,
        jobs=1 + beside,
        measurements=(),
        environment=ENVIRONMENT,
        margin=margin,
        forecasts={} if forecast is None else {trial.id: forecast for _, trial in planned},
    )
    folder = RunFolder.create(results, info)
    truth = true_labels(data)
    if store_labels:
        folder.write("labels.npz", encode_truth(truth, groups))
    statuses = {
        name: itertools.chain(model.statuses, itertools.repeat(Status.OK)) for name, model in models.items()
    }
    for model, trial in planned:
        if (status := next(statuses[model])) is not None:
            _append(folder, trial, models[model], status, truth, data, beside, serving, learning)
    if calibrated:
        records = folder.records()
        folder.append_session(
            Session(
                started_at=info.created_at,
                wall_seconds=sum(record.trial_seconds for record in records) + 3,
                trial_ids=tuple(record.trial.id for record in records),
                complete=True,
                side_by_side=1 + beside,
                before=(calibration(),),
                after=(dataclasses.replace(calibration(), matrix_product_seconds=(0.0108,) * 5),),
            )
        )
    return folder


def true_labels(data: DatasetInfo) -> np.ndarray[Any, Any]:
    """Draw the true labels, int64 (n,): each class at least once if there are enough images."""
    draw = np.random.default_rng(7)
    labels = np.concatenate(
        [data.classes, draw.choice(data.classes, max(0, data.test_count - len(data.classes)))]
    )
    return draw.permutation(labels[: data.test_count]).astype(np.int64)


def _inference(fit_seconds: float) -> Inference:
    latencies = tuple(1e-4 * fit_seconds * (1 + 0.01 * i) for i in range(100))
    return Inference(latencies, tuple(Batches(10**e, 5, 0.001 * fit_seconds * 2**e) for e in range(4)))


def _curve(model: Model, fit_seconds: float) -> LearningCurve:
    shares = (0.5, 0.8, 1.0)
    correct = tuple(round(1000 * (1 - model.error_rate) * share) for share in shares)
    seconds = tuple(fit_seconds * share for share in (0.25, 0.5, 1.0))
    return LearningCurve("epoch", 1000, (1, 2, 4), seconds, correct, second_training=False)


def _append(
    folder: RunFolder,
    trial: Trial,
    model: Model,
    status: Status,
    truth: np.ndarray[Any, Any],
    data: DatasetInfo,
    beside: int,
    serving: bool,
    learning: bool,
) -> None:
    started_at = "2026-03-14T09:27:00+00:00"
    if status is not Status.OK:
        log = b"epoch 1 of 10\n" * 30 + b"and then it stopped\n"
        record = Record(trial, status, started_at, 3.2, beside, ENVIRONMENT, failure=FAILURES[status])
        folder.append(record, None, log)
        return
    classes, k = np.asarray(data.classes), len(data.classes)
    # A repetition of the same seed predicts the same; a part of the images is hard for every model.
    draw = np.random.default_rng([trial.seed, *trial.model.encode(), trial.train_size or 0, trial.threads])
    hardness = np.random.default_rng(5).random(len(truth)) + 0.3 * draw.random(len(truth))
    rate = model.error_rate * (1 + 0.05 * draw.standard_normal()) * (1.5 if trial.train_size else 1.0)
    wrong = hardness > np.quantile(hardness, 1 - min(rate, 1.0)) if rate > 0 else np.zeros(len(truth), bool)
    position = np.searchsorted(classes, truth)
    # Mistakes favour a neighbour, as 4 and 9 do, so that matrices have a pattern.
    shift = draw.choice([1, 2, 5], len(truth), p=[0.7, 0.2, 0.1]) % k
    predicted = np.where(wrong & (shift > 0), (position + shift) % k, position)
    probabilities = None
    if model.probabilities:
        sure = np.clip(model.confidence + 0.05 * draw.standard_normal(len(truth)), 1.5 / k, 1 - 1e-6)
        sure = np.where(wrong, np.maximum(1.5 / k, sure - 0.3 * draw.random(len(truth))), sure)
        probabilities = np.repeat(((1 - sure) / max(k - 1, 1))[:, None], k, axis=1)
        probabilities[np.arange(len(truth)), predicted] = sure if k > 1 else 1.0
    packed = encode_predictions(classes[predicted], probabilities)
    stored = decode_predictions(packed)
    noise = float(np.exp(0.03 * np.random.default_rng([trial.repeat, trial.seed]).standard_normal()))
    fit_seconds = model.fit_seconds * noise * 2 / (1 + trial.threads) * ((trial.train_size or 6000) / 6000)
    watched_seconds = fit_seconds + 0.02 * model.fit_seconds * noise + 0.01
    measurement = Measurement(
        import_seconds=0.8,
        load_seconds=0.21,
        build_seconds=0.001,
        fit_seconds=fit_seconds,
        fit_cpu_seconds=fit_seconds * (0.6 + 0.35 * trial.threads),
        first_predict_seconds=0.004,
        predict_seconds=0.02 * model.fit_seconds * noise,
        predict_cpu_seconds=0.03 * model.fit_seconds * noise,
        peak_rss_bytes=612_000_000,
        baseline_rss_bytes=410_000_000,
        memory_source="VmHWM",
        model_bytes=63_712,
        train_images=trial.train_size or data.train_count,
        test_images=len(truth),
        train_accuracy=1 - model.error_rate / 2,
        engine="scikit-learn 1.9.0",
        device="cpu",
        warnings=model.warnings,
        load=MachineLoad(watched_seconds, 2.1 * watched_seconds, 2 * watched_seconds, 0.0, 0, 4),
        inference=_inference(fit_seconds) if serving else None,
        cold_start=ColdStart(1.4, 0.8, 0.05, 0.02, 310_000_000) if serving else None,
        learning_curve=_curve(model, fit_seconds) if learning else None,
    )
    record = Record(
        trial,
        status,
        started_at,
        fit_seconds + 2,
        beside,
        ENVIRONMENT,
        measurement,
        quality(truth, stored.labels, stored.probabilities, data.classes),
        predictions_digest(stored),
    )
    folder.append(record, packed, b"")


def with_copies(folder: RunFolder) -> RunFolder:
    """Add predictions for corrupted copies to a synthetic run: more errors, condition by condition."""
    truth, records = true_labels(folder.info().dataset), []
    for record in folder.records():
        path = folder.path / "predictions" / f"{record.trial.id}.npz"
        clean = decode_predictions(path.read_bytes())
        draw = np.random.default_rng([record.trial.seed, *record.trial.model.encode()])
        on_copies: dict[str, OnCopies] = {}
        for number, condition in enumerate(conditions()):
            wrong = draw.random(len(truth)) < 0.1 + 0.02 * number * (1 + draw.random())
            scores = ()
            if CORRUPTIONS[condition.kind].level is None and clean.probabilities is not None:
                scores = draw.random((2, len(truth))).astype(np.float16)
            on_copies[condition.name] = OnCopies(np.where(wrong, (truth + 1) % 10, truth), *scores)
        path.write_bytes(encode_predictions(clean.labels, clean.probabilities, on_copies))
        stored = decode_predictions(path.read_bytes())
        hashes = dict.fromkeys(on_copies, "ab" * 32)
        measured = dataclasses.replace(record.measurement, copies_sha256=hashes)
        digest = predictions_digest(stored)
        records.append(dataclasses.replace(record, measurement=measured, predictions_sha256=digest))
    lines = "".join(json.dumps(to_json(record), separators=(",", ":")) + "\n" for record in records)
    (folder.path / "records.jsonl").write_text(lines)
    return folder


def arrays(count: int = 200, shape: tuple[int, int] = (28, 28)) -> Arrays:
    """Return a data set whose test labels are those of the synthetic runs."""
    draw = np.random.default_rng(1)
    truth = true_labels(dataset(test_count=count))
    return Arrays(
        x_train=draw.integers(0, 256, (6 * count, *shape), dtype=np.uint8),
        y_train=np.resize(np.arange(10), 6 * count).astype(np.int64),
        x_test=draw.integers(0, 256, (count, *shape), dtype=np.uint8),
        y_test=truth,
    )


def run_with(tmp_path: Path, images: Arrays, models: Mapping[str, Model], **more: Any) -> RunFolder:
    """Make a run of that data set in `tmp_path/results`."""
    data = dataset(test_count=len(images.x_test), sha256=images.sha256(), image_shape=images.x_test.shape[1:])
    return make_run(tmp_path / "results", models, data=data, **more)


def calibration(factor: float = 1.0) -> Calibration:
    """Return a calibration whose kernels took 10 ms each, times the factor."""
    return Calibration(*((0.01 * factor,) * 5,) * 4)
