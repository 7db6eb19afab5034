"""Clocks and memory: bounds are generous, because test machines are busy, but no wrong quantity fits them."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from mnistbench.trial.contract import ContractError
from mnistbench.trial.measure import (
    LoadMeter,
    Stages,
    latencies,
    peak_rss_bytes,
    rss_bytes,
    saved_bytes,
    throughput,
    timed,
)

MIB = 2**20


def spin(seconds: float) -> None:
    """Use that much CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_sleep_costs_wall_time_alone():
    took = timed(lambda: time.sleep(0.3) or "done")
    assert took.value == "done"
    assert 0.3 <= took.wall_seconds < 2
    assert 0 <= took.cpu_seconds < 0.1


def test_a_loop_costs_cpu_time():
    took = timed(lambda: spin(0.3))
    assert 0.3 <= took.cpu_seconds < 0.45
    assert took.wall_seconds > 0.29


def test_the_reading_of_the_clocks_is_no_part_of_the_time():
    took = [timed(lambda: None) for _ in range(5)]
    assert min(t.wall_seconds for t in took) < 0.001
    assert min(t.cpu_seconds for t in took) < 0.001


@pytest.mark.parametrize("waited_for", [True, False])
def test_children_count_whether_they_ended_or_still_run(waited_for):
    code = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nprint()"
    code += "" if waited_for else "\ntime.sleep(60)"

    def call() -> subprocess.Popen:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child.stdout.readline()
        if waited_for:
            child.wait()
        return child

    took = timed(call)
    try:
        assert 0.45 < took.cpu_seconds < 1.5
    finally:
        took.value.kill()
        took.value.wait()
        took.value.stdout.close()


def test_the_peak_stays_when_memory_is_given_back():
    before, source = peak_rss_bytes()
    if sys.platform.startswith("linux"):
        assert source == "VmHWM"
    size = max(0, before - rss_bytes()) + 64 * MIB
    held = np.ones(size, dtype=np.uint8)
    assert rss_bytes() >= size
    peak = peak_rss_bytes()[0]
    assert before + 40 * MIB < peak < before + 200 * MIB
    del held
    assert rss_bytes() < peak - 40 * MIB
    assert peak_rss_bytes()[0] >= peak - MIB  # the kernel counts in batches


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="VmHWM is Linux's")
def test_the_peak_is_this_processs_own_and_not_its_parents():
    held = np.ones(300 * MIB, dtype=np.uint8)
    code = "from mnistbench.trial.measure import peak_rss_bytes; print(peak_rss_bytes()[0])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 200 * MIB < rss_bytes()
    del held


@pytest.mark.parametrize(
    "value", [None, "text", open, np.arange(100_000), [np.ones(5)[::2], {"a": 1}], b"x" * 200_000]
)
def test_the_saved_size_is_that_of_the_pickle(value):
    assert saved_bytes(value) == len(pickle.dumps(value, protocol=5))


class Refusing:
    def __getstate__(self) -> object:
        raise RuntimeError("not to be saved")


@pytest.mark.parametrize("value", [lambda: None, Refusing(), (n for n in range(3))])
def test_an_unpicklable_object_has_no_size(value):
    assert saved_bytes(value) is None


def test_a_large_model_is_not_held_in_memory_twice():
    held = np.ones(200 * MIB, dtype=np.uint8)
    before = peak_rss_bytes()[0]
    assert saved_bytes(held) > 200 * MIB
    assert peak_rss_bytes()[0] < before + 50 * MIB


def test_latencies_are_of_single_images_within_the_budget():
    images = np.arange(6, dtype=np.float32).reshape(3, 2)
    seen = []

    def predict(batch: np.ndarray) -> None:
        assert batch.shape == (1, 2)
        seen.append(float(batch[0, 0]))
        time.sleep(0.01)

    seconds = latencies(predict, images, budget_seconds=0.1)
    assert 1 <= len(seconds) <= 11
    assert min(seconds) >= 0.01
    assert seen == [(0, 2, 4)[n % 3] for n in range(len(seen))]
    assert len(latencies(predict, images, budget_seconds=0)) == 1
    assert len(latencies(lambda batch: None, images, budget_seconds=60, most=7)) == 7


def test_throughput_is_of_growing_batches_that_fit():
    images = np.zeros((50, 2), dtype=np.float32)
    seen = []
    alone = (0.001, 0.002)
    measured = throughput(lambda batch: seen.append(len(batch)), images, (10, 100), 0.02, alone)
    assert [b.batch_size for b in measured] == [1, 10]
    assert (measured[0].calls, measured[0].wall_seconds) == (2, 0.003)
    assert measured[1].wall_seconds >= 0.02
    assert seen == [10] * (measured[1].calls + 1)  # the warm-up is not counted
    assert measured[1].images_per_second == pytest.approx(10 * measured[1].calls / measured[1].wall_seconds)


def test_a_prediction_that_changes_its_images_spoils_none_that_follows():
    images = np.arange(1, 41, dtype=np.float32).reshape(20, 2)
    kept = images.copy()

    def predict(batch: np.ndarray) -> None:
        assert np.array_equal(batch, kept[: len(batch)]) or (len(batch) == 1 and batch in kept)
        batch[:] = -1

    assert len(latencies(predict, images, budget_seconds=60, most=41)) == 41
    assert all(b.calls > 1 for b in throughput(predict, images, (10,), 0.02, [0.01, 0.01]))
    assert np.array_equal(images, kept)


def test_sizes_that_would_take_too_long_are_left_out():
    images = np.zeros((1000, 2), dtype=np.float32)
    measured = throughput(lambda batch: time.sleep(0.01 * len(batch)), images, (1000,), 0.02, [0.01])
    assert [b.batch_size for b in measured] == [1]


def test_the_load_meter_sees_what_the_machine_does():
    meter = LoadMeter()
    spin(0.5)
    load = meter.read(own_seconds=0.5)
    assert 0.5 <= load.wall_seconds < 10
    assert 0.4 <= load.busy_seconds <= load.wall_seconds * load.logical_cores + 0.5
    assert load.own_seconds == 0.5
    assert load.throttled_count >= 0
    assert load.logical_cores == os.cpu_count()


def every_stage(rows):
    yield from range(1, rows + 1)


def some_stages(rows, stages):
    yield from (stage + 1 for stage in stages)


@pytest.mark.parametrize("staged_predict", [every_stage, some_stages])
def test_a_learning_curve_has_its_first_points_close_together_and_its_end(staged_predict):
    passed_on = []
    stages, began = Stages(lambda *report: passed_on.append(report)), time.perf_counter()
    for done in range(1, 41):
        stages.note(np.int64(done), 40, "epoch")
    curve = stages.curve(began, 50, list(stages.predictions(staged_predict, 40)))
    assert passed_on == [(done, 40, "epoch") for done in range(1, 41)]
    assert curve.done[:5] == (1, 2, 3, 4, 5)
    assert curve.done[-1] == 40
    assert len(curve.done) < 20
    assert curve.correct == curve.done
    assert (curve.unit, curve.images, curve.second_training) == ("epoch", 50, False)
    assert list(curve.seconds) == sorted({0, *curve.seconds})[1:]


def test_stages_that_were_not_reported_give_no_curve():
    stages = Stages(lambda *_: None)
    stages.note(1, 1, "epoch")
    with pytest.raises(ContractError, match="gave 2 predictions; expected one for each of the 1 calls"):
        list(stages.predictions(every_stage, 2))
