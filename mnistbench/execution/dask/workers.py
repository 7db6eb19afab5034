"""The workers of a Dask cluster that can run trials, as they come and go.

A lost scheduler is a MnistbenchError: a client that connects again has lost its trials.
"""

import functools
import logging
import threading
import time
from typing import Any

from mnistbench import __version__
from mnistbench.errors import MnistbenchError
from mnistbench.execution.dask.on_worker import Worker, describe

_LOG = logging.getLogger(__name__)
_FIRST_SECONDS = 10  # to wait for the first worker
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 20  # for a worker to import mnistbench and say what it is
_LOOK_SECONDS = 5  # between two looks at the latest: an event before the subscription arrived is missed


class Workers:
    """The workers by address; Dask's events say when to look again."""

    def __init__(self, client: Any, scheduler: str) -> None:
        """Follow the workers of a connected `distributed.Client`, whose scheduler has this address."""
        self._client = client
        self._scheduler = scheduler
        self._known: dict[str, Worker] = {}
        self._refused: dict[str, MnistbenchError] = {}
        self._present: list[str] = []
        self._changed = threading.Event()
        self._looked_at = -float("inf")
        client.subscribe_topic("all", self._on_event)

    def present(self) -> dict[str, Worker]:
        """Return the workers that are there and can run trials."""
        self.require_scheduler()
        if self._changed.is_set() or time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._changed.clear()
            self._looked_at = time.monotonic()
            try:
                self._present = list(self._client.ncores())
            except OSError as error:
                raise self._scheduler_lost() from error
            self._describe([a for a in self._present if a not in self._known and a not in self._refused])
        return {a: self._known[a] for a in self._present if a in self._known and a not in self._refused}

    def some(self) -> dict[str, Worker]:
        """Return them; wait a little for the first."""
        deadline = time.monotonic() + _FIRST_SECONDS
        while not (workers := self.present()):
            if self._refused or time.monotonic() > deadline:
                raise self.none(f"the Dask cluster {self._scheduler} has no worker that can run trials")
            time.sleep(_POLL_SECONDS)
        return workers

    def refuse(self, address: str, host: str, reason: MnistbenchError) -> None:
        """Send no more trials to a worker, and log why."""
        self._refused[address] = reason
        _LOG.warning("The Dask worker %s on %s will not be used: %s", address, host, reason)

    def none(self, message: str) -> MnistbenchError:
        """Return the error of a cluster without workers, of the kind of the last reason for that."""
        for address, reason in reversed(self._refused.items()):
            return type(reason)(f"{message}; {address}: {reason}")
        return MnistbenchError(f"{message}; `dask worker {self._scheduler} --nthreads 1` starts one.")

    def require_scheduler(self) -> None:
        """Make sure that the scheduler has been there all the time."""
        if self._client.status != "running":
            raise self._scheduler_lost()

    def _describe(self, addresses: list[str]) -> None:
        """Ask new workers what they are; refuse those on which another mnistbench would measure."""
        for address, answer in self._answers(addresses).items():
            if isinstance(answer, TimeoutError):
                reason = MnistbenchError(f"it did not answer within {_ANSWER_SECONDS} s")
                self.refuse(address, address, reason)
            elif isinstance(answer, OSError):  # it has just left, or is not quite there
                self._changed.set()
            elif not isinstance(answer, Worker):
                reason = MnistbenchError(f"it cannot load mnistbench {__version__}: {answer}")
                self.refuse(address, address, reason)
            elif (theirs := answer.environment.libraries.get("mnistbench")) != __version__:
                reason = MnistbenchError(f"it has mnistbench {theirs}; this is {__version__}")
                self.refuse(address, answer.environment.host, reason)
            else:
                self._known[address] = answer

    def _answers(self, addresses: list[str]) -> dict[str, Worker | BaseException]:
        """Return what each says of itself, or why it says nothing; one that hangs holds up no other."""
        if not addresses:
            return {}
        run = functools.partial(
            self._client.run, describe, on_error="return", callback_timeout=_ANSWER_SECONDS
        )
        try:
            return dict(run(workers=addresses))
        except TimeoutError as error:
            if len(addresses) == 1:
                return {addresses[0]: error}
            return {
                address: answer for each in addresses for address, answer in self._answers([each]).items()
            }
        except OSError as error:
            raise self._scheduler_lost() from error

    def _on_event(self, event: tuple[float, Any]) -> None:
        _, message = event
        if isinstance(message, dict) and message.get("action") in ("add-worker", "remove-worker"):
            self._changed.set()

    def _scheduler_lost(self) -> MnistbenchError:
        return MnistbenchError(
            f"the connection to the Dask scheduler {self._scheduler} is lost; what was finished is kept. "
            f"Once it is back, resume with --resume --backend dask --scheduler {self._scheduler}."
        )
