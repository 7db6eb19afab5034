"""The types of the plan and of the results of a run, as stored in its folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mnistbench.datasets import DatasetInfo
from mnistbench.datasets.holdout import LAST, described, holdout_count
from mnistbench.datasets.synthetic import RECIPE
from mnistbench.machine import Calibration, Environment
from mnistbench.runs.json import ParameterValue
from mnistbench.stats.scores import MARGIN, Quality

SCHEMA_VERSION = 1


class Status(StrEnum):
    """How a trial ended."""

    OK = "ok"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"
    LEFT_OUT = "left_out"
    REFUSED = "refused"


@dataclass(frozen=True)
class Trial:
    """One fit and evaluation, described completely enough to be run again anywhere.

    Attributes:
        dataset: The data set's name.
        dataset_sha256: SHA-256 of the data set's decoded arrays.
        train_size: Training images used, drawn per seed and stratified by class; None for all. More than the
            data set has are all of its own and synthetic ones.
        model: The model's name: the stem of its file.
        parameters: Every parameter of the model's `build`, defaults included.
        seed: The seed from which `derived_seed` derives others.
        threads: Number of threads, and cores, that the trial may use.
        split: "test", or "validation" for the hold-out.
        holdout: Which training images are held out, for "validation" and for learning curves, as
            `datasets.holdout` names it.
        repeat: 0 for the first measurement of this trial, 1 for its first repetition, and so on.
        synthetic: How many of the training images are synthetic, the same for every seed.
    """

    dataset: str
    dataset_sha256: str
    train_size: int | None
    model: str
    parameters: Mapping[str, ParameterValue]
    seed: int
    threads: int
    split: str = "test"
    repeat: int = 0
    holdout: str = LAST
    synthetic: int = 0
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the id: the same trial has the same id on every machine; a repetition adds its number."""
        evaluated_on = [self.split]
        if self.split == "validation" and self.holdout != LAST:
            evaluated_on.append(self.holdout)
        described: dict[str, object] = {
            "dataset": [self.dataset, self.dataset_sha256, *evaluated_on],
            "train_size": self.train_size,
            "model": self.model,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "threads": self.threads,
        }
        if self.synthetic:
            described["synthetic"] = [RECIPE, self.synthetic]
        text = json.dumps(described, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        object.__setattr__(self, "id", f"{digest}-{self.repeat}" if self.repeat else digest)

    def derived_seed(self, axis: str) -> int:
        """Return the seed of one source of randomness ("fit", "subset"), below 2**31.

        It depends on the trial's seed and the axis alone, so that another model or training size never
        changes the seeds of the rest.
        """
        digest = hashlib.sha256(f"{self.seed}/{axis}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    @property
    def size_label(self) -> str:
        """The training images: "5,000 images", "600,000 images, 540,000 synthetic", or "all images"."""
        size = f"{self.train_size:,} images" if self.train_size else "all images"
        return f"{size}, {self.synthetic:,} synthetic" if self.synthetic else size


@dataclass(frozen=True)
class Batches:
    """Predictions in batches of one size, one after the other.

    Attributes:
        batch_size: Images per call.
        calls: Calls made, after one for warm-up.
        wall_seconds: Wall time of all calls together.
    """

    batch_size: int
    calls: int
    wall_seconds: float

    @property
    def images_per_second(self) -> float:
        """Throughput at this batch size."""
        return self.batch_size * self.calls / self.wall_seconds if self.wall_seconds > 0 else 0.0


@dataclass(frozen=True)
class Inference:
    """Prediction speed in use.

    Attributes:
        latency_seconds: Wall time of single predictions of one image each, in the order taken.
        batches: Throughput at each batch size for which there was time.
    """

    latency_seconds: tuple[float, ...]
    batches: tuple[Batches, ...]


@dataclass(frozen=True)
class ColdStart:
    """A fresh process that loads the saved model and predicts one image; the files are in the disk's cache.

    Attributes:
        total_seconds: From just before the process is started to its first prediction.
        import_seconds: Importing the model's file and its libraries.
        load_seconds: Loading the saved model.
        predict_seconds: The first prediction.
        peak_rss_bytes: Peak resident memory of that process.
    """

    total_seconds: float
    import_seconds: float
    load_seconds: float
    predict_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class LearningCurve:
    """How the accuracy grew during the training.

    A point is a moment at which the model reported its progress; the first are close together, later ones
    further apart.

    Attributes:
        unit: What the model counts: "epoch", "step" or "round".
        images: Number of the images that were classified: those that the trial is evaluated on.
        done: Units done at each point, ascending.
        seconds: Wall time of the training up to each point.
        correct: Images that were classified correctly at each point.
        second_training: Whether the curve is of a second training, without the hold-out, and on the hold-out,
            as in records of versions before 1.1.
    """

    unit: str
    images: int = field(metadata={"formerly": ("holdout_images",)})
    done: tuple[int, ...]
    seconds: tuple[float, ...]
    correct: tuple[int, ...]
    second_training: bool = True


@dataclass(frozen=True)
class MachineLoad:
    """The load of the whole machine while a trial trained and predicted.

    Attributes:
        wall_seconds: Time observed.
        busy_seconds: CPU time of all processes of the machine.
        own_seconds: CPU time of the trial.
        steal_seconds: CPU time that the hypervisor gave to other machines.
        throttled_count: How often a core was throttled for heat, or the container for its quota.
        logical_cores: Logical cores of the machine.
    """

    wall_seconds: float
    busy_seconds: float
    own_seconds: float
    steal_seconds: float
    throttled_count: int
    logical_cores: int

    @property
    def others_share(self) -> float:
        """Share of the machine's CPU time that went to other processes."""
        capacity = self.wall_seconds * self.logical_cores
        return max(0.0, self.busy_seconds - self.own_seconds) / capacity if capacity > 0 else 0.0

    @property
    def steal_share(self) -> float:
        """Share of the machine's CPU time that the hypervisor gave to other machines."""
        capacity = self.wall_seconds * self.logical_cores
        return self.steal_seconds / capacity if capacity > 0 else 0.0


@dataclass(frozen=True)
class Measurement:
    """The raw values measured in one trial's process.

    Attributes:
        import_seconds: Importing the model's file and its libraries.
        load_seconds: Opening the arrays, choosing the subset, scaling and encoding.
        build_seconds: Calling the model's `build`.
        fit_seconds: Wall time of `fit` alone.
        fit_cpu_seconds: CPU time of `fit`, children included.
        first_predict_seconds: The first prediction, of one image, right after `fit`.
        predict_seconds: Wall time of `predict` on all evaluation images, after that first one.
        predict_cpu_seconds: CPU time of the same.
        peak_rss_bytes: Peak resident memory of the process tree, up to the end of the predictions.
        baseline_rss_bytes: Resident memory before `fit`: interpreter, libraries and images.
        memory_source: Source of the peak: the kernel's "VmHWM", or "sampled".
        model_bytes: Size of the saved estimator.
        train_images: Number of images passed to `fit`.
        test_images: Number of images passed to `predict`.
        train_accuracy: Accuracy on a fixed sample of the training images.
        engine: The library that did the work, with its version.
        device: "cpu", or a GPU's name.
        warnings: Distinct notes: first the tolerated deviations from scikit-learn's contract, then the
            warnings of libraries, e.g. that the model did not converge.
        threads_used: The threads that it had: fewer than the trial's where other programs kept cores busy;
            None in records of versions before 1.1, where it had all.
        load: The machine's load during `fit` and `predict`.
        inference: Latency and throughput, if measured.
        cold_start: A fresh process that loads the saved model, if measured.
        learning_curve: If measured, and the model reports its progress and has `staged_predict`.
        copies_sha256: SHA-256 of the corrupted copies of the images that it predicted, by the name of the
            condition, if measured; what it predicted is with its predictions.
    """

    import_seconds: float
    load_seconds: float
    build_seconds: float
    fit_seconds: float
    fit_cpu_seconds: float
    first_predict_seconds: float
    predict_seconds: float
    predict_cpu_seconds: float
    peak_rss_bytes: int
    baseline_rss_bytes: int
    memory_source: str
    model_bytes: int | None
    train_images: int
    test_images: int
    train_accuracy: float
    engine: str
    device: str
    warnings: tuple[str, ...] = ()
    threads_used: int | None = None
    load: MachineLoad | None = None
    inference: Inference | None = None
    cold_start: ColdStart | None = None
    learning_curve: LearningCurve | None = None
    copies_sha256: Mapping[str, str] | None = None

    @property
    def work_seconds(self) -> float:
        """Wall time of `fit` and of `predict` on all evaluation images."""
        return self.fit_seconds + self.predict_seconds

    @property
    def effective_cores(self) -> float:
        """Cores that `fit` kept busy on average: CPU seconds over wall seconds."""
        return self.fit_cpu_seconds / self.fit_seconds if self.fit_seconds > 0 else 0.0

    @property
    def images_per_second(self) -> float:
        """Evaluation images predicted per second, in one call."""
        return self.test_images / self.predict_seconds if self.predict_seconds > 0 else 0.0


@dataclass(frozen=True)
class Failure:
    """Why a trial is not ok; `kind` is the exception's type, the signal's name or the exceeded limit."""

    kind: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        """Return one line: "ValueError: the solver met a NaN"."""
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Record:
    """A finished trial: how it ended, its results, and where it ran.

    Attributes:
        trial: What was run.
        status: How it ended.
        started_at: UTC, ISO 8601.
        trial_seconds: Wall time of the whole trial, from starting its process to collecting its result.
        beside: The peak number of other trials running at the same time on its machine; 0 if it ran alone.
        environment: The machine it ran on.
        measurement: None unless the trial finished.
        quality: None unless the trial finished.
        predictions_sha256: `predictions_digest` of the stored predictions.
        failure: None if and only if the status is ok.
        attempts: More than 1 if a worker of the cluster was lost while it ran the trial.
    """

    trial: Trial
    status: Status
    started_at: str
    trial_seconds: float
    beside: int
    environment: Environment
    measurement: Measurement | None = None
    quality: Quality | None = None
    predictions_sha256: str | None = None
    failure: Failure | None = None
    attempts: int = 1


@dataclass(frozen=True)
class Expected:
    """A value that is expected, and the 95 % interval of a single one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What a trial is expected to take, before it has run.

    Attributes:
        work_seconds: Wall time of `fit` and `predict` together.
        trial_seconds: Wall time of the whole trial, as in its record.
        peak_rss_bytes: Peak resident memory, as in its measurement.
        source: What the forecast rests on, such as "this machine".
    """

    work_seconds: Expected
    trial_seconds: Expected
    peak_rss_bytes: Expected
    source: str


@dataclass(frozen=True)
class Published:
    """What others have published about a model's family on the data set of a run.

    Attributes:
        accuracy: Accuracy on the test images, a share from 0 to 1.
        source: Where it was published.
    """

    accuracy: float
    source: str


@dataclass(frozen=True)
class ModelInfo:
    """What a run stores about a model's file.

    Attributes:
        name: The model's name.
        summary: The first line of its docstring.
        sha256: See `plan.models.sources_digest`.
        path: The file, or None for one of the suite's own.
        parameters: The defaults of its `build`.
        published: What others have published about its family on the run's data set.
    """

    name: str
    summary: str
    sha256: str
    path: str | None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class RunInfo:
    """The plan of a run, written once before its first trial.

    Attributes:
        name: The run folder's name.
        created_at: UTC, ISO 8601.
        command: The arguments on the command line.
        suite: The suite's name.
        dataset: The data set; its `arrays_folder` is empty, because it differs between machines.
        dataset_spec: The data set on the command line.
        trials: Every trial, in the order of running.
        models: Each model's file when the run was planned.
        timeout_seconds: Limit on the wall time of each trial.
        memory_limit_bytes: Limit on the memory of each trial's process tree.
        jobs: Number of trials that run side by side.
        fixed_threads: Whether each trial gets all its threads even where other programs keep some cores busy.
        measurements: Measurements beside quality, `fit` and `predict`; see `plan.options.MEASUREMENTS`.
        environment: The machine that planned the run.
        backend: Where the trials run: "local", or "dask" for the workers of a Dask cluster.
        schema_version: The version of the format of this folder's files.
        margin: Difference in accuracy up to which two models are practically the same, a share from 0 to 1.
        forecasts: What the trials were expected to take, by id, where that could be foretold.
        budget_seconds: The time that the plan was made to fit into, if any.
        left_out: What was left out for it, in words.
    """

    name: str
    created_at: str
    command: tuple[str, ...]
    suite: str
    dataset: DatasetInfo
    dataset_spec: str
    trials: tuple[Trial, ...]
    models: tuple[ModelInfo, ...]
    timeout_seconds: float
    memory_limit_bytes: int
    jobs: int
    measurements: tuple[str, ...]
    environment: Environment
    backend: str = "local"
    schema_version: int = SCHEMA_VERSION
    margin: float = MARGIN
    fixed_threads: bool = False
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)
    budget_seconds: float | None = None
    left_out: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        """Which images the run is evaluated on: "test" or "validation"."""
        return self.trials[0].split if self.trials else "test"

    @property
    def holdout(self) -> str:
        """Which training images are held out, for "validation" and for learning curves."""
        return self.trials[0].holdout if self.trials else LAST

    @property
    def held_out(self) -> str:
        """The held-out images: "the last sixth of the training images"."""
        return described(self.holdout, self.dataset.group_noun)

    @property
    def holdout_count(self) -> int:
        """Number of the held-out images."""
        return holdout_count(self.dataset, self.holdout)

    @property
    def is_validation(self) -> bool:
        """Whether the run is evaluated on held-out training images, not on test images."""
        return self.split == "validation"


@dataclass(frozen=True)
class Session:
    """One invocation of the runner on a run folder; a resumed run has several.

    Attributes:
        started_at: UTC, ISO 8601.
        wall_seconds: Wall time of all of it, calibrations included.
        trial_ids: The trials that ended in it.
        complete: False if it was interrupted.
        side_by_side: How many trials could run at the same time.
        before: The speed of each machine before the first trial; empty if not measured.
        after: The same after the last trial, in the same order.
    """

    started_at: str
    wall_seconds: float
    trial_ids: tuple[str, ...]
    complete: bool
    side_by_side: int = 1
    before: tuple[Calibration, ...] = ()
    after: tuple[Calibration, ...] = ()
