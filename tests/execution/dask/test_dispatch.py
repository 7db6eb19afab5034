"""Calls to one worker of a real Dask cluster, ended in every way that a call can end."""

import gc
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator

import pytest
from support.dask_processes import Dask, wait_for

from mnistbench.execution.dask.dispatch import Call, CallLostError

distributed = pytest.importorskip(
    "distributed", reason="needs the extra: pip install 'mnistbench[distributed]'"
)


@pytest.fixture(scope="module")
def dask(tmp_path_factory) -> Iterator[Dask]:
    with Dask(tmp_path_factory.mktemp("dask")) as own:
        own.start_worker()
        own.start_worker()
        yield own


@pytest.fixture
def client(dask) -> Iterator[object]:
    with distributed.Client(dask.address, set_as_default=False) as connected:
        connected.wait_for_workers(2, timeout=40)
        yield connected


@pytest.fixture
def workers(client) -> list[str]:
    return sorted(client.ncores())


def busy(client: object) -> dict[str, tuple[str, ...]]:
    return {address: tasks for address, tasks in client.processing().items() if tasks}


def test_each_call_runs_on_the_worker_that_it_is_for(client, workers):
    calls = {address: Call(client, address, os.getpid) for address in workers}
    found = {address: call.result(20) for address, call in calls.items()}
    assert found == client.run(os.getpid)
    assert len({*found.values(), os.getpid()}) == 3


def test_what_the_function_raises_is_raised_here(client, workers):
    call = Call(client, workers[0], os.stat, "/nonexistent")
    with pytest.raises(FileNotFoundError, match="/nonexistent"):
        call.result(20)
    assert call.done()


def test_an_overdue_answer_is_lost_and_can_be_taken_back(client, workers):
    call = Call(client, workers[0], time.sleep, 3)
    with pytest.raises(CallLostError, match="overdue"):
        call.result(0.5)
    assert not call.done()
    assert list(busy(client)) == [workers[0]]
    call.cancel()
    assert call.done()
    wait_for(lambda: not busy(client), 5)


def test_a_call_is_taken_back_before_it_has_left(client, workers):
    for _ in range(20):
        call = Call(client, workers[1], time.sleep, 0.01)
        call.cancel()
        assert call.done()
    wait_for(lambda: not busy(client), 5)


def test_a_finished_call_stays_finished(client, workers):
    call = Call(client, workers[0], abs, -3)
    assert call.result(20) == 3
    call.cancel()
    assert call.done()


def test_a_cancelled_call_leaves_nothing_for_the_collection_of_garbage_to_end(client, workers):
    """Joblib would do it in a thread of its own that keeps the process, and waits for the scheduler."""
    call = Call(client, workers[0], abs, -3)
    wait_for(call.done)
    call.cancel()
    held = [call]
    del call

    def let_go() -> None:
        held.clear()
        gc.collect()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        collecting = threading.Thread(target=let_go)
        collecting.start()
        collecting.join()
    assert [str(warning.message) for warning in caught] == []
    assert "GeneratorExitThread" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.slow
def test_a_worker_that_dies_each_time_makes_the_call_lost(dask, client, workers):
    """Dask gives up after some deaths, where joblib's own backend would have this wait for ever."""
    address = f"tcp://127.0.0.1:{free_port()}"
    dask.start_worker("--nanny", "--worker-port", address.rpartition(":")[2])
    client.wait_for_workers(len(workers) + 1, timeout=40)
    with pytest.raises(CallLostError, match="4 different workers"):
        Call(client, address, os.abort).result(60)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
