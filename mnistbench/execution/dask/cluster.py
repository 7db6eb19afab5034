"""Trials on other machines: each is a task of an existing Dask cluster, isolated on its worker as here.

Dask carries the tasks, reports which workers come and go, cancels what is no longer wanted, and names the
trials on its dashboard. Two things it cannot do for a benchmark. It counts the resources of each worker
apart and queues tasks on busy ones, while trials share the cores of a machine among all its workers: each
task is therefore bound to a worker that is free. And how often it repeats the task of a lost worker is a
setting of the scheduler, which counts tasks that only waited there: a lost trial is therefore sent again.

Dask pickles what it sends. Whoever reaches the scheduler can run code on all machines of the cluster, so the
cluster is a circle of trust: keep it on a network of its own, or use Dask's TLS.
"""

import contextlib
import logging
import queue
import subprocess
import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.execution.dask.on_worker import ACTIVITY_TOPIC, Worker, calibrate_here, run_here
from mnistbench.execution.dask.workers import Workers
from mnistbench.execution.isolation import Activity, Job, Outcome
from mnistbench.execution.local import Concurrency, Finished, Observer
from mnistbench.machine import Calibration
from mnistbench.runs.records import Failure, Status, Trial

_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 10
_POLL_SECONDS = 0.1
_RESULT_SECONDS = 60  # to fetch an outcome, a megabyte or two, that is ready
_NO_WORKER_SECONDS = 30  # without any worker that could run a trial: a nanny restarts one within seconds
_CALIBRATION_SECONDS = 120
_ATTEMPTS = 2


@contextlib.contextmanager
def connect(address: str, *, offline: bool = False) -> "Iterator[Cluster]":
    """Join the Dask cluster whose scheduler is at an address such as "tcp://10.0.0.5:8786".

    If `offline`, its workers fetch no data set from the network.

    Raises:
        UsageError: Dask is not installed, or the address is malformed.
        MnistbenchError: No scheduler answers.
    """
    try:
        import distributed
        from distributed.comm.addressing import get_address_host
    except ImportError as error:
        raise UsageError(
            "--backend dask needs Dask: install the extra, as in `pip install 'mnistbench[distributed]'`."
        ) from error
    # Dask's own messages about lost workers and connections would stand between the lines of the run.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        get_address_host(address)
        client = distributed.Client(  # type: ignore[no-untyped-call]
            address, timeout=_CONNECT_SECONDS, set_as_default=False, name="mnistbench"
        )
    except OSError as error:
        raise MnistbenchError(
            f"no Dask scheduler answers at {address}; `dask scheduler` starts one and prints its address."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"--scheduler {address!r} is not an address: {error}; expected e.g. tcp://10.0.0.5:8786."
        ) from error
    try:
        yield Cluster(client, address, offline=offline)
    finally:
        with contextlib.suppress(OSError):
            client.close(timeout=_CONNECT_SECONDS)  # type: ignore[no-untyped-call]


@dataclass(eq=False)
class _Planned:
    """A trial to run, and what became of it so far."""

    job: Job
    lost: "list[_Running]" = field(default_factory=list)  # where it ran on workers that were lost
    # What became of it on workers that lack a library it needs, by their installation.
    unavailable: dict[tuple[str, ...], Finished] = field(default_factory=dict)
    stranded_at: float | None = None  # since when no worker could run it, by `time.monotonic`

    def fits(self, worker: Worker) -> bool:
        """Return whether the worker could run the trial if it were free."""
        return worker.installation not in self.unavailable and len(worker.cores) >= self.job.trial.threads

    def given_up(self) -> Finished:
        """Return what becomes of the trial once the workers of all its attempts were lost."""
        hosts = " and ".join(running.worker.environment.host for running in self.lost)
        first, last = self.lost[0], self.lost[-1]
        outcome = Outcome(
            status=Status.CRASHED,
            started_at=first.started_at.isoformat(timespec="seconds"),
            trial_seconds=(datetime.now(UTC) - first.started_at).total_seconds(),
            environment=last.worker.environment,
            failure=Failure("worker lost", f"its workers, on {hosts}, were lost one after the other"),
        )
        return Finished(self.job, outcome, beside=0, attempts=len(self.lost))


@dataclass(frozen=True, eq=False)
class _Running:
    """A trial on a worker, and the cores it has there; the future is Dask's."""

    planned: _Planned
    address: str
    worker: Worker
    cores: tuple[int, ...]
    future: Any
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Cluster:
    """The workers of a Dask cluster, each of which runs one trial at a time.

    Trials on one machine get cores of their own, however many workers it has. A trial whose worker is lost
    runs once more; one that misses a library runs on a worker that has it, where there is one.
    """

    def __init__(self, client: Any, address: str, *, offline: bool) -> None:
        """Use a connected `distributed.Client`."""
        self._client = client
        self._address = address
        self._offline = offline
        self._workers = Workers(client, address)
        self._running: dict[str, _Running] = {}
        self._concurrency = Concurrency()
        self._calibrated: list[str] = []
        self._news: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        client.subscribe_topic(ACTIVITY_TOPIC, lambda event: self._news.put(event[1]))

    def share(self) -> tuple[int, int]:
        """Return the cores, and the memory in bytes, that a trial may have on whichever worker there is."""
        workers = list(self._workers.some().values())
        sharing = [sum(other.machine == worker.machine for other in workers) for worker in workers]
        cores = min(max(1, len(w.cores) // count) for w, count in zip(workers, sharing, strict=True))
        memory = min(w.environment.memory_bytes // n for w, n in zip(workers, sharing, strict=True))
        return cores, memory

    def most_cores(self) -> int:
        """Return the cores of the worker that may use the most."""
        return max(len(worker.cores) for worker in self._workers.some().values())

    def side_by_side(self, trials: Sequence[Trial]) -> int:
        """Return how many trials the workers that are there now can run at the same time.

        Raises:
            UsageError: None has the cores that a trial needs.
        """
        workers = self._workers.some().values()
        widest = max((trial.threads for trial in trials), default=1)
        most = self.most_cores()
        if widest > most:
            raise UsageError(
                f"a trial needs {widest} threads, but no worker of {self._address} has more than {most} "
                f"cores; add one that has, or start a new run with --threads {most}."
            )
        cores: dict[str, set[int]] = {}
        for worker in workers:
            cores.setdefault(worker.machine, set()).update(worker.cores)
        at_once = sum(
            min(len(own) // widest, sum(worker.machine == machine for worker in workers))
            for machine, own in cores.items()
        )
        return max(1, min(at_once, len(trials)))

    def calibrate(self) -> tuple[Calibration, ...]:
        """Return the speed of each machine that was there the first time; nothing once one has gone."""
        from distributed import KilledWorker

        one_each = {worker.machine: address for address, worker in self._workers.some().items()}
        self._calibrated = self._calibrated or list(one_each)
        if not set(self._calibrated) <= set(one_each):
            return ()
        futures = [
            self._client.submit(calibrate_here, workers=[one_each[machine]], pure=False)
            for machine in self._calibrated
        ]
        deadline = time.monotonic() + _CALIBRATION_SECONDS
        try:
            return tuple(future.result(timeout=max(0, deadline - time.monotonic())) for future in futures)
        except (OSError, TimeoutError, KilledWorker, subprocess.SubprocessError, CancelledError) as error:
            self._workers.require_scheduler()
            _LOG.warning("The speed of the machines could not be measured: %s", error or "a worker was lost")
            return ()
        finally:
            self._cancel(futures)

    def run_trials(self, jobs: Sequence[Job], observer: Observer) -> Generator[Finished]:
        """Run each trial on the first worker that is free and fits; yield each outcome once it is there.

        However that ends, the trials that still run are cancelled.

        Raises:
            MnistbenchError: The scheduler is lost, or no worker is left that could run the trials.
        """
        waiting = [_Planned(job) for job in jobs]
        try:
            while waiting or self._running:
                workers = self._workers.present()
                yield from self._start(waiting, workers, observer)
                self._pass_on_news(observer)
                for key, running in list(self._running.items()):
                    if running.future.done() or running.address not in workers:
                        finished = self._end(key)
                        if finished is None:
                            waiting.insert(0, running.planned)
                        else:
                            yield finished
        finally:
            self._cancel([running.future for running in self._running.values()])
            self._running.clear()
            self._concurrency = Concurrency()

    def _start(
        self, waiting: list[_Planned], workers: Mapping[str, Worker], observer: Observer
    ) -> Iterator[Finished]:
        """Send trials to the free workers, in their order; yield the outcome of what no worker can run.

        A worker that fits a trial is kept free for it until its machine has enough free cores.
        """
        busy = {running.address for running in self._running.values()}
        free = {address: worker for address, worker in workers.items() if address not in busy}
        for planned in list(waiting):
            if not any(planned.fits(worker) for worker in workers.values()):
                if planned.unavailable:
                    waiting.remove(planned)
                    yield next(iter(planned.unavailable.values()))
                    continue
                planned.stranded_at = planned.stranded_at or time.monotonic()
                if time.monotonic() - planned.stranded_at > _NO_WORKER_SECONDS:
                    raise self._workers.none(f"no worker of {self._address} is left that could run a trial")
                continue
            planned.stranded_at = None
            for address in [address for address, worker in free.items() if planned.fits(worker)]:
                cores = self._free_cores(free[address])[: planned.job.trial.threads]
                if len(cores) == planned.job.trial.threads:
                    self._send(planned, address, free.pop(address), cores)
                    waiting.remove(planned)
                    observer.started(planned.job.trial)
                    break
            else:
                free = {address: worker for address, worker in free.items() if not planned.fits(worker)}
            if not free:
                return

    def _free_cores(self, worker: Worker) -> tuple[int, ...]:
        """Return the worker's cores that no trial has, on whichever worker of its machine."""
        sharing = [other for other in self._running.values() if other.worker.machine == worker.machine]
        taken = {core for other in sharing for core in other.cores}
        return tuple(core for core in worker.cores if core not in taken)

    def _send(self, planned: _Planned, address: str, worker: Worker, cores: tuple[int, ...]) -> None:
        job, trial = planned.job, planned.job.trial
        key = f"{trial.model}, {trial.size_label}, seed {trial.seed}, {trial.id}-{uuid.uuid4().hex}"
        arguments = (job, _sources(job), cores, self._offline)
        future = self._client.submit(run_here, *arguments, workers=[address], pure=False, key=key)
        future.add_done_callback(lambda _: self._news.put({}))
        self._concurrency.enter(worker.machine, trial.id)
        self._running[key] = _Running(planned, address, worker, cores, future)

    def _pass_on_news(self, observer: Observer) -> None:
        """Wait a moment for what the trials are doing, or for the end of one, and pass on all there is."""
        with contextlib.suppress(queue.Empty):
            news = self._news.get(timeout=_POLL_SECONDS)
            while True:
                if (running := self._running.get(news.get("task", ""))) is not None:
                    observer.activity(running.planned.job.trial, Activity(**news["activity"]))
                news = self._news.get_nowait()

    def _end(self, key: str) -> Finished | None:
        """Take a trial from its worker, which has ended it or is lost; None if it must run again."""
        running = self._running.pop(key)
        planned, worker = running.planned, running.worker
        beside = self._concurrency.leave(worker.machine, planned.job.trial.id)
        try:
            outcome = self._result(running.future)
        except MnistbenchError as error:  # the worker could run no other trial either
            self._workers.refuse(running.address, worker.environment.host, error)
            return None
        finally:
            self._cancel([running.future])
        if outcome is None:
            self._workers.require_scheduler()
            planned.lost.append(running)
            return planned.given_up() if len(planned.lost) == _ATTEMPTS else None
        finished = Finished(planned.job, outcome, beside, attempts=1 + len(planned.lost))
        if outcome.status is Status.UNAVAILABLE:
            planned.unavailable[worker.installation] = finished
            return None
        return finished

    def _result(self, future: Any) -> Outcome | None:
        """Return the trial's outcome, or None if its worker is lost; raise what the worker raised."""
        from distributed import KilledWorker

        if future.status == "error":
            error = future.exception()
            if not isinstance(error, KilledWorker):
                raise error
        elif future.status == "finished":
            with contextlib.suppress(OSError, TimeoutError, CancelledError):
                return future.result(timeout=_RESULT_SECONDS)  # type: ignore[no-any-return]
        return None

    def _cancel(self, futures: Sequence[Any]) -> None:
        if self._client.status == "running":
            self._client.cancel(futures)


def _sources(job: Job) -> dict[str, bytes]:
    """Read what makes the model; the worker reports if it is no longer what was planned."""
    try:
        return job.model.sources()
    except OSError:
        return {}
