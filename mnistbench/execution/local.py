"""Backends, which run trials: their protocol, and the one for the cores of this machine."""

import logging
import os
import subprocess
import threading
import time
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mnistbench import machine
from mnistbench.errors import UsageError
from mnistbench.execution.isolation import Activity, Job, Outcome, run_trial
from mnistbench.execution.processes import child_environment
from mnistbench.machine import Calibration, calibrate
from mnistbench.runs.records import Record, Trial

_LOG = logging.getLogger(__name__)
_STOP_SECONDS = 10  # three for a process to end on TERM, the rest to find those that escaped


class Observer(Protocol):
    """Receives the events of a run; several threads may call its methods."""

    def started(self, trial: Trial) -> None:
        """A trial is about to start."""

    def activity(self, trial: Trial, activity: Activity) -> None:
        """A trial is still running, with or without progress."""

    def finished(self, record: Record) -> None:
        """A trial has ended and its record is on disk."""


@dataclass(frozen=True)
class Finished:
    """A finished trial and its circumstances."""

    job: Job
    outcome: Outcome
    beside: int  # the peak number of other trials running at the same time on its machine
    attempts: int = 1  # how often it was started

    def record(self) -> Record:
        """Return the record of the trial; see `Outcome.record`."""
        return self.outcome.record(self.job, beside=self.beside, attempts=self.attempts)


class Backend(Protocol):
    """Runs trials."""

    def side_by_side(self, trials: Sequence[Trial]) -> int:
        """Return how many of the trials can run at the same time.

        Raises:
            MnistbenchError: Some of them cannot run here.
        """

    def run_trials(self, jobs: Sequence[Job], observer: Observer) -> Generator[Finished]:
        """Run the trials and yield each as soon as it ends, in any order.

        When the generator ends or is closed, trials that still run are stopped.

        Raises:
            MnistbenchError: The remaining trials cannot run here.
        """

    def calibrate(self) -> tuple[Calibration, ...]:
        """Measure the current speed of each machine, always in the same order."""


class Concurrency:
    """Counts for each trial the peak number of others that ran beside it on its machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._peaks: dict[str, dict[str, int]] = {}

    def enter(self, machine: str, trial_id: str) -> None:
        """Register the start of a trial on a machine."""
        with self._lock:
            running = self._peaks.setdefault(machine, {})
            running[trial_id] = 0
            for other, peak in running.items():
                running[other] = max(peak, len(running) - 1)

    def leave(self, machine: str, trial_id: str) -> int:
        """Register its end; return the peak number of others that ran beside it."""
        with self._lock:
            return self._peaks[machine].pop(trial_id)


class LocalCores:
    """Runs trials on this machine, side by side on disjoint cores."""

    def __init__(self, jobs: int = 1) -> None:
        """Allow at most `jobs` trials at a time."""
        self._jobs = jobs
        self._free = list(machine.usable_cores())
        self._freed = threading.Condition()
        self._concurrency = Concurrency()

    def side_by_side(self, trials: Sequence[Trial]) -> int:
        """Return `jobs`, or fewer if the trials with the most threads need the cores.

        Raises:
            UsageError: A trial has more threads than there are cores, for example on another machine.
        """
        widest = max((trial.threads for trial in trials), default=1)
        cores = len(self._free)
        if widest > cores:
            raise UsageError(
                f"this run has trials with {widest} threads, but this process may use only {cores} cores; "
                "resume it where there are enough, or start a new run."
            )
        return max(1, min(self._jobs, cores // widest, len(trials)))

    def run_trials(self, jobs: Sequence[Job], observer: Observer) -> Generator[Finished]:
        """Run the trials through joblib, as many at a time as fit.

        When the generator ends or is closed, no trial is running any more.
        """
        import joblib

        stop = threading.Event()
        count = self.side_by_side([job.trial for job in jobs])
        under_way = threading.Semaphore(count)

        def run_one(job: Job) -> Finished:
            with under_way:
                return self._run(job, observer, stop)

        parallel = joblib.Parallel(
            n_jobs=count, backend="threading", return_as="generator_unordered", pre_dispatch=count
        )
        finished = parallel(joblib.delayed(run_one)(job) for job in jobs)
        try:
            for each in finished:  # noqa: UP028 - with `yield from` a close ends joblib's generator first
                yield each
        finally:
            stop.set()
            deadline = time.monotonic() + _STOP_SECONDS
            for _ in range(count):
                under_way.acquire(timeout=max(0.0, deadline - time.monotonic()))
            with warnings.catch_warnings(action="ignore"):  # joblib warns about results that nobody took
                finished.close()

    def _run(self, job: Job, observer: Observer, stop: threading.Event) -> Finished:
        """Run the trial on the first free cores."""
        threads, trial = job.trial.threads, job.trial
        with self._freed:
            self._freed.wait_for(lambda: len(self._free) >= threads)
            cores, self._free = self._free[:threads], self._free[threads:]
        self._concurrency.enter("", trial.id)
        try:
            observer.started(trial)
            outcome = run_trial(job, tuple(cores), lambda activity: observer.activity(trial, activity), stop)
        finally:
            beside = self._concurrency.leave("", trial.id)
            with self._freed:
                self._free = sorted((*self._free, *cores))
                self._freed.notify_all()
        return Finished(job, outcome, beside)

    def calibrate(self) -> tuple[Calibration, ...]:
        """Measure the machine's speed on all usable cores; log a warning if that fails."""
        cores = machine.usable_cores()
        try:
            return (calibrate(cores, child_environment(os.environ, len(cores))),)
        except (OSError, subprocess.SubprocessError) as error:
            _LOG.warning("The machine's speed could not be measured: %s", error)
            return ()
