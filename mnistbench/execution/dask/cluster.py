"""Trials on other machines: each goes to one worker of an existing Dask cluster, which isolates it as here.

As on one machine, joblib hands the trials out (see `runner`), `isolation.run_trial` runs each of them, and
its outcome comes back. Each goes to its worker through joblib's Dask backend (see `dispatch`), in a call of
its own: all tasks of one call of joblib's go to the same choice of workers, while a trial that misses a
library must be sent elsewhere, and one whose worker is lost once more.

Dask pickles what it sends. Whoever reaches the scheduler can run code on all machines of the cluster, so the
cluster is a circle of trust: keep it on a network of its own, or use Dask's TLS.
"""

import contextlib
import functools
import logging
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from mnistbench import __version__
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.execution.dask.dispatch import Call, CallLostError
from mnistbench.execution.dask.errand import Errand, Worker, calibrate_here, describe, run_errand
from mnistbench.execution.isolation import Activity, Interrupted, Job, Outcome
from mnistbench.execution.local import Concurrency, Finished, Observer
from mnistbench.machine import Calibration
from mnistbench.runs.records import Failure, Status, Trial

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 10
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 0.5  # between two looks at which workers there are
_ANSWER_SECONDS = 60  # to hand over an outcome, a megabyte or two, that is ready
_EMPTY_SECONDS = 30  # without any worker that could run a trial: a nanny restarts one within seconds
_CALIBRATION_SECONDS = 120
_ATTEMPTS = 2


@dataclass(frozen=True)
class _Room:
    """A free worker, and the cores it may use for one trial."""

    address: str
    worker: Worker
    cores: tuple[int, ...]


@dataclass(eq=False)
class _Wish:
    """A trial that waits for a worker.

    Attributes:
        threads: The cores it wants.
        lacking: What became of it on workers that lack a library it needs, by their installation.
    """

    threads: int
    lacking: dict[tuple[str, ...], Finished] = field(default_factory=dict)

    def fits(self, worker: Worker) -> bool:
        """Return whether the worker could run the trial if it were free."""
        return worker.installation not in self.lacking and len(worker.cores) >= self.threads


class _WorkerLostError(Exception):
    """A worker left the cluster while it had a trial."""


class _RefusedError(Exception):
    """A worker cannot run this trial nor any other: it has no data set, or no room for temporary files."""

    def __init__(self, reason: MnistbenchError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextlib.contextmanager
def connect(address: str, *, offline: bool = False) -> "Iterator[Cluster]":
    """Join an existing Dask cluster.

    Args:
        address: Of its scheduler, such as "tcp://10.0.0.5:8786" or "10.0.0.5:8786".
        offline: Let the workers fetch no data set from the network.

    Raises:
        UsageError: Dask is not installed, or the address is none.
        MnistbenchError: No scheduler answers.
    """
    try:
        import distributed
        from distributed.comm.addressing import get_address_host
    except ImportError as error:
        raise UsageError(
            "--backend dask needs Dask: install the extra, as in `pip install 'mnistbench[distributed]'`."
        ) from error
    # Dask's own account of lost workers and connections would stand between the lines of the run.
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
            f"--scheduler {address!r} is no address: {error}; expected e.g. tcp://10.0.0.5:8786."
        ) from error
    try:
        yield Cluster(client, address, offline=offline)
    finally:
        with contextlib.suppress(OSError):
            client.close(timeout=_CONNECT_SECONDS)  # type: ignore[no-untyped-call]


class Cluster:
    """The workers of a Dask cluster, each of which runs one trial at a time.

    Trials on one machine get cores of their own, however many workers it has. A trial whose worker is lost
    runs once more; one that misses a library runs on a worker that has it, where there is one.
    """

    waiting = 64  # so that workers that come later, or fit few trials, find one

    def __init__(self, client: Any, address: str, *, offline: bool) -> None:
        """Use a connected `distributed.Client`."""
        self._client = client
        self._address = address
        self._offline = offline
        self._topic = f"mnistbench-{uuid.uuid4().hex}"
        self._followers: dict[str, Callable[[Activity], None]] = {}
        self._looking = threading.Lock()
        self._looked_at = -_LOOK_SECONDS
        self._present: dict[str, Worker] = {}
        self._known: dict[str, Worker] = {}
        self._dismissed: dict[str, MnistbenchError] = {}
        self._taking = threading.Lock()
        self._taken: dict[str, _Room] = {}
        self._wishes: list[_Wish] = []
        self._calibrated: list[str] = []
        self._concurrency = Concurrency()
        client.subscribe_topic(self._topic, self._heard)

    def share(self) -> tuple[int, int]:
        """Return the cores, and the memory in bytes, that a trial may have on whichever worker.

        Raises:
            MnistbenchError: There is no worker.
        """
        workers = list(self._some_workers().values())
        sharing = [sum(other.machine == worker.machine for other in workers) for worker in workers]
        cores = min(max(1, len(w.cores) // count) for w, count in zip(workers, sharing, strict=True))
        memory = min(w.environment.memory_bytes // n for w, n in zip(workers, sharing, strict=True))
        return cores, memory

    def most_cores(self) -> int:
        """Return the cores of the worker that may use the most.

        Raises:
            MnistbenchError: There is no worker.
        """
        return max(len(worker.cores) for worker in self._some_workers().values())

    def side_by_side(self, trials: Sequence[Trial]) -> int:
        """Return how many trials the workers that are there now can run at the same time.

        Raises:
            MnistbenchError: There is no worker, or none has the cores that a trial needs.
        """
        workers = self._some_workers().values()
        widest = max((trial.threads for trial in trials), default=1)
        cores: dict[str, set[int]] = {}
        for worker in workers:
            cores.setdefault(worker.machine, set()).update(worker.cores)
        most = self.most_cores()
        if widest > most:
            raise UsageError(
                f"there are trials of {widest} threads, and no worker of {self._address} has more than "
                f"{most} cores; add one that has, or start a new run with --threads {most}."
            )
        rooms = sum(
            min(len(own) // widest, sum(worker.machine == machine for worker in workers))
            for machine, own in cores.items()
        )
        return max(1, min(rooms, len(trials)))

    def calibrate(self) -> tuple[Calibration, ...]:
        """Measure the speed of each machine that is there the first time; nothing once one of them has gone.

        Raises:
            MnistbenchError: The scheduler is lost.
        """
        one_each = {worker.machine: address for address, worker in self._some_workers().items()}
        self._calibrated = self._calibrated or list(one_each)
        if not set(self._calibrated) <= set(one_each):
            return ()
        calls: list[Call[Calibration]] = []
        try:
            calls.extend(self._call(one_each[machine], calibrate_here) for machine in self._calibrated)
            return tuple(self._result(call, _CALIBRATION_SECONDS) for call in calls)
        except (_WorkerLostError, subprocess.SubprocessError) as error:
            _LOG.warning("The speed of the machines could not be measured: %s", error or "a worker was lost")
            return ()
        finally:
            for call in calls:
                call.cancel()

    def run_trial(self, job: Job, observer: Observer, stop: threading.Event) -> Finished:
        """Run the trial on the first worker that is free and fits.

        Raises:
            Interrupted: `stop` was set.
            MnistbenchError: The scheduler is lost, or no worker is left that could run the trial.
        """
        wish = _Wish(job.trial.threads)
        lost: list[Worker] = []
        started_at, before = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        while len(lost) < _ATTEMPTS:
            room = self._take(wish, stop)
            if room is None:
                return next(iter(wish.lacking.values()))
            try:
                outcome, beside = self._run_in(room, job, observer, stop)
            except _WorkerLostError:
                lost.append(room.worker)
                continue
            except _RefusedError as error:
                self._dismiss(room.address, room.worker.environment.host, error.reason)
                continue
            finished = Finished(outcome, beside, attempts=1 + len(lost))
            if outcome.status is not Status.UNAVAILABLE:
                return finished
            wish.lacking[room.worker.installation] = finished
        return _given_up(lost, started_at, time.perf_counter() - before)

    def _run_in(
        self, room: _Room, job: Job, observer: Observer, stop: threading.Event
    ) -> tuple[Outcome, int]:
        machine, trial_id = room.worker.machine, job.trial.id
        self._concurrency.enter(machine, trial_id)
        try:
            observer.started(job.trial)
            outcome = self._outcome(room, job, observer, stop)
        finally:
            beside = self._concurrency.leave(machine, trial_id)
            with self._taking:
                del self._taken[room.address]
        return outcome, beside

    def _outcome(self, room: _Room, job: Job, observer: Observer, stop: threading.Event) -> Outcome:
        """Send the trial to the worker, and wait for what becomes of it."""
        ticket = uuid.uuid4().hex
        errand = Errand(job, _sources(job), room.cores, self._offline, self._topic, ticket)
        self._followers[ticket] = functools.partial(observer.activity, job.trial)
        call = self._call(room.address, run_errand, errand)
        try:
            while not call.done():
                if stop.wait(_POLL_SECONDS):
                    raise Interrupted
                if room.address not in self._workers():
                    raise _WorkerLostError
            outcome = self._result(call, _ANSWER_SECONDS)
        finally:
            del self._followers[ticket]
            call.cancel()  # which makes the worker kill the trial, if it still runs
        if outcome is None:
            raise _WorkerLostError
        return outcome

    def _call(self, address: str, function: Callable[..., T], *arguments: Any) -> Call[T]:
        return self._ask(lambda: Call(self._client, address, function, *arguments))

    def _result(self, call: Call[T], seconds: float) -> T:
        """Return the result of a call, or raise what stands in its place."""
        try:
            return call.result(seconds)
        except CallLostError as lost:
            self._require_scheduler()
            raise _WorkerLostError from lost
        except MnistbenchError as error:
            raise _RefusedError(error) from error

    def _take(self, wish: _Wish, stop: threading.Event) -> _Room | None:
        """Wait for a free worker that fits; None if all workers lack what the trial needs."""
        empty_since = time.monotonic()
        with self._taking:
            self._wishes.append(wish)
        try:
            while not stop.is_set():
                workers = self._workers()
                if any(wish.fits(worker) for worker in workers.values()):
                    empty_since = time.monotonic()
                elif wish.lacking:
                    return None
                elif time.monotonic() - empty_since > _EMPTY_SECONDS:
                    raise self._nobody(f"no worker of {self._address} is left that could run a trial")
                room = self._free_room(workers, wish)
                if room is not None:
                    return room
                stop.wait(_POLL_SECONDS)
            raise Interrupted
        finally:
            with self._taking:
                self._wishes.remove(wish)

    def _free_room(self, workers: Mapping[str, Worker], wish: _Wish) -> _Room | None:
        """Return a worker, and cores of its machine that no other trial has; first come, first served."""
        with self._taking:
            earlier = self._wishes[: self._wishes.index(wish)]
            for address, worker in workers.items():
                if not wish.fits(worker) or address in self._taken or any(w.fits(worker) for w in earlier):
                    continue
                rooms = [room for room in self._taken.values() if room.worker.machine == worker.machine]
                taken = {core for room in rooms for core in room.cores}
                free = [core for core in worker.cores if core not in taken]
                if len(free) >= wish.threads:
                    self._taken[address] = _Room(address, worker, tuple(free[: wish.threads]))
                    return self._taken[address]
        return None

    def _some_workers(self) -> dict[str, Worker]:
        """Return the workers that can run trials; wait a little for the first.

        Raises:
            MnistbenchError: There is none.
        """
        deadline = time.monotonic() + _CONNECT_SECONDS
        while not (workers := self._workers()):
            if self._dismissed or time.monotonic() > deadline:
                raise self._nobody(f"the Dask cluster {self._address} has no worker that can run trials")
            time.sleep(_POLL_SECONDS)
        return workers

    def _workers(self) -> dict[str, Worker]:
        """Return the workers there are, by address, as seen at most half a second ago."""
        with self._looking:
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                addresses = list(self._ask(self._client.ncores))
                self._meet([a for a in addresses if a not in self._known and a not in self._dismissed])
                self._present = {a: self._known[a] for a in addresses if a in self._known}
                self._looked_at = time.monotonic()
            return {a: worker for a, worker in self._present.items() if a not in self._dismissed}

    def _meet(self, addresses: list[str]) -> None:
        """Ask new workers what they are; dismiss those on which another mnistbench would measure."""
        if not addresses:
            return
        answers = self._ask(lambda: self._client.run(describe, workers=addresses, on_error="return"))
        for address, answer in answers.items():
            if isinstance(answer, Worker):
                theirs = answer.environment.libraries.get("mnistbench")
                if theirs == __version__:
                    self._known[address] = answer
                else:
                    reason = MnistbenchError(f"it has mnistbench {theirs}; this is {__version__}")
                    self._dismiss(address, answer.environment.host, reason)
            elif not isinstance(answer, OSError):  # which one raises that has just left
                reason = MnistbenchError(f"it cannot load mnistbench {__version__}: {answer}")
                self._dismiss(address, address, reason)

    def _dismiss(self, address: str, host: str, reason: MnistbenchError) -> None:
        """Send no more trials to a worker, and say so once."""
        self._dismissed[address] = reason
        _LOG.warning("The Dask worker %s on %s gets no trials: %s", address, host, reason)

    def _nobody(self, what: str) -> MnistbenchError:
        """Return the error of a cluster without workers, of the kind of the last reason for that."""
        for address, reason in reversed(self._dismissed.items()):
            return type(reason)(f"{what}; of {address}: {reason}")
        return MnistbenchError(f"{what}; `dask worker {self._address} --nthreads 1` starts one.")

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask the scheduler something.

        Raises:
            MnistbenchError: It is gone.
        """
        self._require_scheduler()
        try:
            return question()
        except OSError as error:
            raise self._scheduler_lost() from error

    def _require_scheduler(self) -> None:
        if self._client.status != "running":  # a client that connects again has lost its trials
            raise self._scheduler_lost()

    def _scheduler_lost(self) -> MnistbenchError:
        return MnistbenchError(
            f"the connection to the Dask scheduler {self._address} is lost; what was finished is kept. "
            f"Once it is back, go on with --resume --backend dask --scheduler {self._address}."
        )

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        follower = self._followers.get(message["ticket"])
        if follower is not None:
            follower(Activity(**message["activity"]))


def _given_up(lost: Sequence[Worker], started_at: str, trial_seconds: float) -> Finished:
    hosts = " and ".join(worker.environment.host for worker in lost)
    message = f"the workers it ran on, on {hosts}, were lost one after the other"
    outcome = Outcome(
        status=Status.CRASHED,
        started_at=started_at,
        trial_seconds=trial_seconds,
        environment=lost[-1].environment,
        failure=Failure("worker lost", message),
    )
    return Finished(outcome, beside=0, attempts=len(lost))


def _sources(job: Job) -> dict[str, bytes]:
    """Read what makes the model; the worker tells if it is no longer what was planned."""
    try:
        return job.model.sources()
    except OSError:
        return {}
