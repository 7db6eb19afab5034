"""Runs the trials of a plan and stores each record as soon as its trial ends."""

import contextlib
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mnistbench import machine
from mnistbench.datasets import DatasetInfo, open_arrays
from mnistbench.datasets.splits import evaluation_groups, evaluation_labels
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.execution.isolation import Interrupted, Job
from mnistbench.execution.local import Backend, LocalCores, Observer
from mnistbench.machine import Calibration
from mnistbench.plan.baselines import published
from mnistbench.plan.models import ModelFile, builtin_folder, read_model_file
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.predictions import encode_truth
from mnistbench.runs.records import Forecast, ModelInfo, RunInfo, Session, Trial
from mnistbench.stats.scores import MARGIN


@dataclass(frozen=True)
class Limits:
    """The limits on each trial, enforced from outside, and how many run side by side on disjoint cores."""

    timeout_seconds: float
    memory_limit_bytes: int
    jobs: int = 1
    fixed_threads: bool = False


@dataclass(frozen=True)
class Plan:
    """The plan of a new run; its trials run in their order."""

    suite: str
    dataset: DatasetInfo  # with its arrays on this machine
    dataset_spec: str  # the data set on the command line
    trials: Sequence[Trial]
    models: Sequence[ModelFile]
    limits: Limits
    measurements: Sequence[str]  # beside quality, `fit` and `predict`
    margin: float = MARGIN  # difference in accuracy up to which two models are practically the same, a share
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)  # what its trials are to take, by id
    budget_seconds: float | None = None  # the time that it was made to fit into, if any
    left_out: tuple[str, ...] = ()  # what was left out for it, in words


def create_run(
    results: Path, plan: Plan, command: Sequence[str], *, name: str | None = None, backend: str = "local"
) -> RunFolder:
    """Create the run folder with its plan and the true labels of its evaluation images.

    It is named after the time, the suite and the data set unless there is a name. `backend` is "local" or
    "dask".

    Raises:
        UsageError: The name is taken, or is not a plain file name.
        MnistbenchError: The folder cannot be written.
    """
    now = datetime.now(UTC)
    split = "" if plan.trials[0].split == "test" else f"-{plan.trials[0].split}"
    info = RunInfo(
        name=f"{now:%Y%m%d-%H%M%S}-{plan.suite}-{plan.dataset.name}{split}"
        if name is None
        else _checked_name(results, name),
        created_at=now.isoformat(timespec="seconds"),
        command=tuple(command),
        suite=plan.suite,
        dataset=replace(plan.dataset, arrays_folder=""),
        dataset_spec=plan.dataset_spec,
        trials=tuple(plan.trials),
        models=tuple(_model_info(model, plan.dataset.name) for model in plan.models),
        timeout_seconds=plan.limits.timeout_seconds,
        memory_limit_bytes=plan.limits.memory_limit_bytes,
        jobs=plan.limits.jobs,
        fixed_threads=plan.limits.fixed_threads,
        measurements=tuple(plan.measurements),
        environment=machine.environment(),
        backend=backend,
        margin=plan.margin,
        forecasts=plan.forecasts,
        budget_seconds=plan.budget_seconds,
        left_out=plan.left_out,
    )
    arrays, images = open_arrays(plan.dataset.arrays_folder), (info.split, info.holdout)
    # Another process may have added the groups since the run was planned without them.
    groups = evaluation_groups(arrays, *images) if info.dataset.groups_sha256 else None
    return RunFolder.create(results, info, encode_truth(evaluation_labels(arrays, *images), groups))


def plan_again(
    info: RunInfo, trials: Sequence[Trial], dataset: DatasetInfo, models: Mapping[str, ModelFile]
) -> Plan:
    """Return the plan of a new run with trials of an earlier one, its limits and its measurements."""
    return Plan(
        suite=info.suite,
        dataset=dataset,
        dataset_spec=info.dataset_spec,
        trials=trials,
        models=[models[name] for name in dict.fromkeys(trial.model for trial in trials)],
        limits=Limits(info.timeout_seconds, info.memory_limit_bytes, info.jobs, info.fixed_threads),
        measurements=info.measurements,
        margin=info.margin,
    )


def models_of(info: RunInfo, dataset: DatasetInfo, *, may_differ: bool = False) -> dict[str, ModelFile]:
    """Return the model files of an earlier run by name; `may_differ` accepts edited ones.

    Raises:
        UsageError: A file is missing, or it or the data set has changed since the run was planned.
    """
    if dataset.sha256 != info.dataset.sha256:
        raise UsageError(
            f"the data set {info.dataset_spec} differs from that of {info.name}. Start a new run."
        )
    found = {}
    for known in info.models:
        path = Path(known.path) if known.path is not None else builtin_folder() / f"{known.name}.py"
        model = read_model_file(path)
        if model.sha256 != known.sha256 and not (may_differ and path.exists()):
            change = "has changed" if path.exists() else "has gone missing"
            raise UsageError(
                f"the model file {path} {change} since the run {info.name} was planned, so its trials would "
                "not be comparable. Restore the file, or start a new run."
            )
        found[known.name] = model
    return found


def run(
    folder: RunFolder,
    models: Mapping[str, ModelFile],
    dataset: DatasetInfo,
    observer: Observer,
    backend: Backend | None = None,
    deadline: float = math.inf,
) -> bool:
    """Run the trials of a plan that have no record yet, by default on this machine; store each as it ends.

    Trials end by the deadline, in seconds of `time.monotonic`: those that would take longer are left out.

    Returns:
        Whether every trial of the plan now has a record; False after a KeyboardInterrupt.

    Raises:
        MnistbenchError: The folder is in use by another process or cannot be written, or the backend can run
            no more trials. Finished trials are kept.
    """
    with folder.locked():
        info = folder.info()
        jobs = _unfinished(folder, info, models, dataset, deadline)
        backend = backend or LocalCores(info.jobs)
        side_by_side = backend.side_by_side([job.trial for job in jobs])
        calibrating = bool(jobs) and "calibration" in info.measurements
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        before = time.perf_counter()
        ended: list[str] = []
        complete = False
        calibrated_before: tuple[Calibration, ...] = ()
        calibrated_after: tuple[Calibration, ...] = ()
        try:
            calibrated_before = backend.calibrate() if calibrating else ()
            with contextlib.closing(backend.run_trials(jobs, observer)) as finished_trials:
                for finished in finished_trials:
                    record = finished.record()
                    folder.append(record, finished.outcome.predictions, finished.outcome.log)
                    ended.append(record.trial.id)
                    observer.finished(record)
            calibrated_after = backend.calibrate() if calibrating else ()
            complete = True
        except (KeyboardInterrupt, Interrupted):
            pass
        except OSError as error:
            raise MnistbenchError(
                f"the run folder {folder.path} cannot be written; finished trials are kept: "
                f"{error.strerror or error}. Fix that, then resume with "
                f"`{folder.command('run', '--resume')}`."
            ) from error
        finally:
            with contextlib.suppress(OSError):
                folder.append_session(
                    Session(
                        started_at=started_at,
                        wall_seconds=time.perf_counter() - before,
                        trial_ids=tuple(ended),
                        complete=complete,
                        side_by_side=side_by_side,
                        before=calibrated_before,
                        after=calibrated_after,
                    )
                )
    return complete


def _unfinished(
    folder: RunFolder, info: RunInfo, models: Mapping[str, ModelFile], dataset: DatasetInfo, deadline: float
) -> list[Job]:
    recorded = {record.trial.id for record in folder.records()}
    return [
        Job(
            trial=trial,
            model=models[trial.model],
            dataset=dataset,
            timeout_seconds=info.timeout_seconds,
            memory_limit_bytes=info.memory_limit_bytes,
            measurements=info.measurements,
            dataset_spec=info.dataset_spec,
            fixed_threads=info.fixed_threads,
            deadline=deadline,
            expected_seconds=told.trial_seconds.value if (told := info.forecasts.get(trial.id)) else 0.0,
            expected_bytes=told.peak_rss_bytes.value if told else 0.0,
        )
        for trial in info.trials
        if trial.id not in recorded
    ]


def _model_info(model: ModelFile, dataset: str) -> ModelInfo:
    own = model.path.parent.resolve() == builtin_folder().resolve()
    return ModelInfo(
        name=model.name,
        summary=model.summary,
        sha256=model.sha256,
        path=None if own else str(model.path.resolve()),
        parameters=model.parameters,
        published=published(model.path, dataset),
    )


def _checked_name(results: Path, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(
            f"--name {name!r} is not a valid name; expected letters, digits, dots, hyphens and underscores."
        )
    if (results / name).exists():
        raise UsageError(f"{results / name} already exists; choose another --name, or --resume {name}.")
    return name
