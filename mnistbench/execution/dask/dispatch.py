"""One call to one worker of a Dask cluster, through joblib's Dask backend, so that it can be followed."""

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import joblib

# joblib makes this backend by name; its class has no public place.
from joblib._dask import DaskDistributedBackend

T = TypeVar("T")
_CANCEL_SECONDS = 5


class CallLostError(Exception):
    """A call was cancelled, or its worker died, or its answer is overdue."""


class Call(Generic[T]):
    """A function that one worker was sent to call.

    Args:
        client: A connected `distributed.Client`.
        address: The worker's, as the scheduler knows it.
        function: What to call; pickled by its name.
        arguments: Its arguments, pickled.
    """

    def __init__(self, client: Any, address: str, function: Callable[..., T], *arguments: Any) -> None:
        self._backend = _OneWorker(
            client=client, workers=[address], allow_other_workers=False, retries=0, pure=False
        )
        parallel = joblib.Parallel(backend=self._backend, batch_size=1, return_as="generator_unordered")
        self._results = parallel([joblib.delayed(function)(*arguments)])

    def done(self) -> bool:
        """Return whether there is an answer, or none to be waited for any more."""
        return self._backend.sent.done()

    def result(self, seconds: float) -> T:
        """Return what the function returned, or raise what it raised.

        Args:
            seconds: How long to wait for it.

        Raises:
            CallLostError: The answer will not come, or has not come in time.
        """
        if not concurrent.futures.wait([self._backend.sent], timeout=seconds).done:
            raise CallLostError("the answer is overdue")
        (result,) = self._results
        return result  # type: ignore[no-any-return]

    def cancel(self) -> None:
        """Take the call back, so that the worker finds its task gone; forget its result if it is done."""
        if not self.done():
            with contextlib.suppress(OSError):  # the scheduler is gone, and the task with it
                self._backend.abort_everything()
            concurrent.futures.wait([self._backend.sent], timeout=_CANCEL_SECONDS)
            self._backend.sent.cancel()  # where not even that was answered
        # A result that nobody took would be ended by the collection of garbage: joblib then asks the cluster
        # to stop, in a thread of its own, which for a lost cluster may never end.
        with contextlib.suppress(Exception):
            self.result(0)


class _OneWorker(DaskDistributedBackend):  # type: ignore[misc]
    """joblib's Dask backend for a single call, whose end it learns of however the call ends.

    joblib 1.6.0's own calls nobody back once a worker has died or a task was cancelled, so that `Parallel`
    waits for ever; it does not stop the tasks of a `Parallel` that is given up; and `Parallel` runs a task in
    the calling process where the cluster has one thread.
    """

    sent: concurrent.futures.Future[Any]

    def effective_n_jobs(self, n_jobs: int) -> int:  # noqa: ARG002 - joblib's name
        """Let `Parallel` take the cluster for one of several threads."""
        return 2

    def submit(self, func: Any, callback: Callable[[Any], None]) -> concurrent.futures.Future[Any]:
        """Send the call, and call back when it has ended well or not."""
        self.sent = super().submit(func, callback=lambda _: None)
        self.sent.add_done_callback(callback)
        return self.sent

    def retrieve_result_callback(self, out: concurrent.futures.Future[Any]) -> Any:
        """Return the result of the call that has ended, or raise what it raised."""
        try:
            result = out.result()
        except Exception as error:  # Dask's: what a function raises is an ordinary result
            raise CallLostError(str(error)) from error
        if isinstance(result, concurrent.futures.CancelledError):
            raise CallLostError(str(result)) from result
        return super().retrieve_result_callback(result)

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002 - joblib's name
        """Cancel the task where it has not ended."""

        async def cancel() -> None:  # in Dask's loop, after `submit` has done its part there
            if tasks := list(self.waiting_futures.futures):
                await self.client.cancel(tasks, asynchronous=True)

        if not self.sent.done():
            self.client.sync(cancel)
