"""The types of the plan and of the results of a run, as stored in its folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

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
    """One fit and evaluation, described completely enough to be run again anywhere."""

    dataset: str
    dataset_sha256: str  # SHA-256 of the data set's decoded arrays
    # Training images used, drawn per seed and stratified by class; None for all. More than the data set has
    # are all of its own and synthetic ones.
    train_size: int | None
    model: str  # the model's name: the stem of its file
    parameters: Mapping[str, ParameterValue]  # every parameter of the model's `build`, defaults included
    seed: int  # the seed from which `derived_seed` derives others
    threads: int  # number of threads, and cores, that the trial may use
    split: str = "test"  # "test", or "validation" for the hold-out
    repeat: int = 0  # 0 for the first measurement of this trial, 1 for its first repetition, and so on
    # Which training images are held out, for "validation" and for learning curves, as `datasets.holdout`
    # names it.
    holdout: str = LAST
    synthetic: int = 0  # how many of the training images are synthetic, the same for every seed
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
    """Predictions in batches of one size, one after the other."""

    batch_size: int  # images per call
    calls: int  # calls made, after one for warm-up if they are of several images
    wall_seconds: float  # wall time of all calls together

    @property
    def images_per_second(self) -> float:
        """Throughput at this batch size."""
        return self.batch_size * self.calls / self.wall_seconds if self.wall_seconds > 0 else 0.0


@dataclass(frozen=True)
class Inference:
    """Prediction speed in use."""

    latency_seconds: tuple[float, ...]  # of predictions of one image each, in the order taken
    batches: tuple[Batches, ...]  # throughput at each batch size for which there was time


@dataclass(frozen=True)
class ColdStart:
    """A fresh process that loads the saved model, from the disk's cache, and predicts one image."""

    total_seconds: float  # from just before the process is started to its first prediction
    import_seconds: float  # importing the model's file and its libraries
    load_seconds: float
    predict_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class LearningCurve:
    """How the accuracy grew during the training.

    A point is a moment at which the model reported its progress; the first are close together, later ones
    further apart.
    """

    unit: str  # what the model counts: "epoch", "step" or "round"
    images: int = field(metadata={"formerly": ("holdout_images",)})  # those that the trial is evaluated on
    done: tuple[int, ...]  # units done at each point, ascending
    seconds: tuple[float, ...]  # wall time of the training up to each point
    correct: tuple[int, ...]  # images that were classified correctly at each point
    # Whether the curve is of a second training, without the hold-out, and on the hold-out, as in records of
    # versions before 1.1.
    second_training: bool = True


MOST_OTHERS_SHARE, MOST_STEAL_SHARE = 0.35, 0.10
"""Shares of the machine's CPU time that go to other processes, and to other machines of the host; where one
is larger, a trial's times tell little."""


@dataclass(frozen=True)
class MachineLoad:
    """The load of the whole machine while a trial trained and predicted."""

    wall_seconds: float  # time observed
    busy_seconds: float  # CPU time of all processes of the machine
    own_seconds: float  # CPU time of the trial
    steal_seconds: float  # CPU time that the hypervisor gave to other machines
    throttled_count: int  # how often a core was throttled for heat, or the container for its quota
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
    """The raw values measured in one trial's process."""

    import_seconds: float  # importing the model's file and its libraries
    load_seconds: float  # opening the arrays, choosing the subset, scaling and encoding
    build_seconds: float  # calling the model's `build`
    fit_seconds: float  # wall time of `fit` alone
    fit_cpu_seconds: float  # CPU time of `fit`, children included
    first_predict_seconds: float  # the first prediction, of one image, right after `fit`
    predict_seconds: float  # wall time of `predict` on all evaluation images, after that first one
    predict_cpu_seconds: float  # CPU time of the same
    peak_rss_bytes: int  # peak resident memory of the process tree, up to the end of the predictions
    baseline_rss_bytes: int  # resident memory before `fit`: interpreter, libraries and images
    memory_source: str  # source of the peak: the kernel's "VmHWM", or "sampled"
    model_bytes: int | None  # size of the saved estimator
    train_images: int  # number of images passed to `fit`
    test_images: int  # number of images passed to `predict`
    train_accuracy: float  # accuracy on a fixed sample of the training images
    engine: str  # the library that did the work, with its version
    device: str  # "cpu", or a GPU's name
    # Distinct notes: first the tolerated deviations from scikit-learn's contract, then the warnings of
    # libraries, e.g. that the model did not converge.
    warnings: tuple[str, ...] = ()
    # The threads that it had: fewer than the trial's where other programs kept cores busy; None in records of
    # versions before 1.1, where it had all.
    threads_used: int | None = None
    learns_by_blocks: bool | None = None  # whether it can be trained on one block of images after another
    load: MachineLoad | None = None  # the machine's load during `fit` and `predict`
    inference: Inference | None = None  # latency and throughput, if measured
    cold_start: ColdStart | None = None  # a fresh process that loads the saved model, if measured
    learning_curve: LearningCurve | None = None  # if measured, and the model has `staged_predict`
    # SHA-256 of the corrupted copies of the images that it predicted, by the name of the condition, if
    # measured; what it predicted is with its predictions.
    copies_sha256: Mapping[str, str] | None = None

    @property
    def work_seconds(self) -> float:
        """Wall time of `fit` and of `predict` on all evaluation images."""
        return self.fit_seconds + self.predict_seconds

    @property
    def work_cpu_seconds(self) -> float:
        """CPU time of the same, children included."""
        return self.fit_cpu_seconds + self.predict_cpu_seconds

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
    """A finished trial: how it ended, its results, and where it ran."""

    trial: Trial
    status: Status
    started_at: str  # UTC, ISO 8601
    trial_seconds: float  # wall time of the whole trial, from starting its process to collecting its result
    beside: int  # the peak number of other trials running at the same time on its machine; 0 if it ran alone
    environment: Environment  # the machine it ran on
    measurement: Measurement | None = None  # None unless the trial finished
    quality: Quality | None = None  # None unless the trial finished
    predictions_sha256: str | None = None  # `predictions_digest` of the stored predictions
    failure: Failure | None = None  # None if and only if the status is ok
    attempts: int = 1  # more than 1 if a worker of the cluster was lost while it ran the trial

    @property
    def was_contended(self) -> bool:
        """Whether other programs had so much of the machine that its times tell little of a quiet one."""
        measured = self.measurement
        if measured is None:
            return False
        load = measured.load
        return (measured.threads_used or self.trial.threads) < self.trial.threads or (
            load is not None
            and (load.others_share > MOST_OTHERS_SHARE or load.steal_share > MOST_STEAL_SHARE)
        )


@dataclass(frozen=True)
class Expected:
    """A value that is expected, and the 95 % interval of a single one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What a trial is expected to take, before it has run."""

    work_seconds: Expected  # wall time of `fit` and `predict` together
    trial_seconds: Expected  # wall time of the whole trial, as in its record
    peak_rss_bytes: Expected  # peak resident memory, as in its measurement
    source: str  # what the forecast rests on, such as "this machine"


@dataclass(frozen=True)
class Published:
    """What others have published about a model's family on the data set of a run."""

    accuracy: float  # accuracy on the test images, a share from 0 to 1
    source: str  # where it was published


@dataclass(frozen=True)
class ModelInfo:
    """What a run stores about a model's file."""

    name: str
    summary: str  # the first line of its docstring
    sha256: str  # see `plan.models.sources_digest`
    path: str | None  # the file, or None for one of the suite's own
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)  # the defaults of its `build`
    published: tuple[Published, ...] = ()  # what others have published about its family on the run's data set


@dataclass(frozen=True)
class RunInfo:
    """The plan of a run, written once before its first trial."""

    name: str  # the run folder's name
    created_at: str  # UTC, ISO 8601
    command: tuple[str, ...]  # the arguments on the command line
    suite: str  # the suite's name
    dataset: DatasetInfo  # the data set; its `arrays_folder` is empty, because it differs between machines
    dataset_spec: str  # the data set on the command line
    trials: tuple[Trial, ...]  # every trial, in the order of running
    models: tuple[ModelInfo, ...]  # each model's file when the run was planned
    timeout_seconds: float  # limit on the wall time of each trial
    memory_limit_bytes: int  # limit on the memory of each trial's process tree
    jobs: int  # number of trials that run side by side
    measurements: tuple[str, ...]  # beside quality, `fit` and `predict`; see `plan.options.MEASUREMENTS`
    environment: Environment  # the machine that planned the run
    backend: str = "local"  # where the trials run: "local", or "dask" for the workers of a Dask cluster
    schema_version: int = SCHEMA_VERSION  # the version of the format of this folder's files
    margin: float = MARGIN  # accuracies that differ by this share or less are practically the same
    fixed_threads: bool = False  # each trial gets all its threads even if other programs keep cores busy
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)  # by trial id, where there are any
    budget_seconds: float | None = None  # the time that the plan was made to fit into, if any
    left_out: tuple[str, ...] = ()  # what was left out for it, in words

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
    """One invocation of the runner on a run folder; a resumed run has several."""

    started_at: str  # UTC, ISO 8601
    wall_seconds: float  # wall time of all of it, calibrations included
    trial_ids: tuple[str, ...]  # the trials that ended in it
    complete: bool  # false if it was interrupted
    side_by_side: int = 1  # how many trials could run at the same time
    before: tuple[Calibration, ...] = ()  # speed of each machine before the first trial, if measured
    after: tuple[Calibration, ...] = ()  # the same after the last trial, in the same order

    @cached_property
    def ended(self) -> frozenset[str]:
        """The trials that ended in it; a large run looks each of them up."""
        return frozenset(self.trial_ids)
