"""What a trial will take is foretold from records whose law is known."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from support.synthetic_runs import ENVIRONMENT, Model, dataset, make_run

from mnistbench.plan.forecast import (
    CONTENDED,
    ELSEWHERE,
    HERE,
    Forecaster,
    known,
    read_known,
    total_seconds,
)
from mnistbench.runs.records import MachineLoad, Trial

MODELS = {"svm": Model(fit_seconds=20)}  # at all 6,000 images, on 1 thread 20 s, and linear in them
RECIPE = {"dataset": "mnist", "dataset_sha256": dataset().sha256, "model": "svm", "parameters": {}}


def ended(tmp_path, sizes=(500, 1000, 2000), **made):
    folder = make_run(tmp_path, MODELS, train_sizes=sizes, seeds=(0, 1, 2), **{"threads": (1,), **made})
    return known(folder, [model.sha256 for model in folder.info().models])


def trial(train_size=None, **changes):
    return Trial(**{**RECIPE, "train_size": train_size, "seed": 9, "threads": 1, **changes})


def forecast(found, wanted, **changes):
    setting = replace(found[0].setting, **changes)
    return Forecaster(setting, found).forecast(wanted)


def test_trials_of_the_same_size_are_expected_to_take_what_they_took(tmp_path):
    found = ended(tmp_path)
    took = [each.record.trial_seconds for each in found if each.record.trial.train_size == 1000]
    expected = forecast(found, trial(1000))
    assert expected.trial_seconds.value == pytest.approx(math.prod(took) ** (1 / 3), rel=0.01)
    assert expected.trial_seconds.low < min(took) < max(took) < expected.trial_seconds.high
    assert expected.peak_rss_bytes.value == pytest.approx(612e6)
    assert expected.source == HERE


@pytest.mark.parametrize("sizes", [(500, 1000, 2000), (1000, 2000, 3000, 4000), (500,), (3000,), (500, 2000)])
def test_other_sizes_follow_the_law_even_where_it_was_seen_at_one_size_alone(tmp_path, sizes):
    expected = forecast(ended(tmp_path, sizes), trial())
    for told, truth in ((expected.work_seconds, 20.4), (expected.trial_seconds, 22.0)):
        assert told.low < truth < told.high
        assert told.value == pytest.approx(truth, rel=0.2 if len(sizes) > 2 else 1.5)


def test_more_sizes_and_nearer_ones_narrow_the_interval(tmp_path):
    def width(name, sizes):
        expected = forecast(ended(tmp_path, sizes, name=name), trial())
        return expected.work_seconds.high / expected.work_seconds.low

    assert (
        width("a", (500,)) > width("b", (3000,)) > width("c", (500, 1000, 2000, 4000)) > width("d", (None,))
    )


@pytest.mark.parametrize(("fixed", "exponent"), [(0.0, 1.0), (4.0, 1.0), (0.0, 1.5)])
def test_most_single_times_lie_in_the_interval_of_the_law(tmp_path, fixed, exponent):
    (template,) = ended(tmp_path, (500,))[:1]
    draw, inside, runs = np.random.default_rng(0), 0, 100
    for _ in range(runs):
        found = []
        for images in (500, 500, 1000, 2000, 4000, None):
            took = (fixed + 20 * ((images or 6000) / 6000) ** exponent) * math.exp(draw.normal(0, 0.1))
            of = {"fit_seconds": took, "train_images": images or 6000, "predict_seconds": 0.0}
            found.append(changed(template, **of))
        told = forecast(found[:-1], trial()).work_seconds
        inside += told.low <= found[-1].measurement.fit_seconds <= told.high
    assert inside >= 0.92 * runs


@pytest.mark.parametrize(
    ("wanted", "setting"),
    [
        (trial(model="rf"), {}),
        (trial(parameters={"C": 2.0}), {}),
        (trial(threads=2), {}),
        (trial(), {"models": {"svm": "another source"}}),
        (trial(), {"dataset": dataset(image_shape=(32, 32))}),
        (trial(), {"dataset": dataset(test_count=10)}),
        (trial(), {"machine": ("another",), "unit_seconds": 1.0}),  # the run took no calibration
    ],
)
def test_what_differs_in_cost_tells_nothing(tmp_path, wanted, setting):
    assert forecast(ended(tmp_path), wanted, **setting) is None


def test_other_images_of_that_shape_tell_less(tmp_path):
    found = ended(tmp_path)
    same, other = (forecast(found, trial(1000, dataset_sha256=sha)) for sha in (dataset().sha256, "other"))
    assert other.work_seconds.value == same.work_seconds.value
    assert other.work_seconds.high > 1.5 * same.work_seconds.high
    assert other.source == f"{HERE}, other images"


def test_seconds_of_another_machine_are_converted_by_the_calibration_units(tmp_path):
    found = ended(tmp_path, calibrated=True)
    unit = found[0].setting.unit_seconds
    there, here = (
        forecast(found, trial(1000), **changes)
        for changes in ({}, {"machine": ("twice as slow",), "unit_seconds": 2 * unit})
    )
    assert here.trial_seconds.value == pytest.approx(2 * there.trial_seconds.value)
    assert here.peak_rss_bytes == there.peak_rss_bytes
    assert here.source == ELSEWHERE


BUSY = MachineLoad(10, 36, 20, 0, 0, 4)  # 0.4 of the machine's CPU time went to others
DISTURBED = {"load": BUSY, "fit_seconds": 150.0, "fit_cpu_seconds": 12.0}
WITH_FEWER_THREADS = {"threads_used": 1, "fit_seconds": 150.0, "fit_cpu_seconds": 12.0}


def changed(each, seconds=0.0, **measured):
    """Return a trial with another measurement, which took so many seconds more in all."""
    measurement = replace(each.measurement, **measured)
    seconds += each.record.trial_seconds + measurement.fit_seconds - each.measurement.fit_seconds
    record = replace(each.record, measurement=measurement, trial_seconds=seconds)
    return replace(each, record=record, measurement=measurement)


@pytest.mark.parametrize("disturbance", [DISTURBED, WITH_FEWER_THREADS])
def test_trials_that_other_programs_disturbed_tell_nothing_beside_others(tmp_path, disturbance):
    found = ended(tmp_path, threads=(2,))
    expected = forecast(found, trial(threads=2))
    spoiled = [changed(each, **disturbance) for each in found]
    assert forecast([*found, *spoiled], trial(threads=2)) == expected
    assert expected.source == HERE


@pytest.mark.parametrize("disturbance", [DISTURBED, WITH_FEWER_THREADS])
def test_where_all_were_disturbed_their_cpu_seconds_are_the_least_time(tmp_path, disturbance):
    spoiled = [changed(each, **disturbance) for each in ended(tmp_path, (1000,), threads=(2,))]
    work = forecast(spoiled, trial(1000, threads=2)).work_seconds
    predicted = [each.measurement.predict_cpu_seconds for each in spoiled]
    assert work.value == pytest.approx((12 + statistics.geometric_mean(predicted)) / 2, rel=0.01)
    assert work.high > 150
    assert forecast(spoiled, trial(1000, threads=2)).source == HERE + CONTENDED


def test_the_time_of_further_measurements_is_not_in_the_forecast_of_trials_without_them(tmp_path):
    found = ended(tmp_path)
    alone = forecast(found, trial(1000)).trial_seconds.value
    robust = [changed(each, seconds=100.0) for each in found]
    measured = [
        replace(each, setting=replace(each.setting, measurements=frozenset({"robustness"})))
        for each in robust
    ]
    told = Forecaster(found[0].setting, measured).forecast(trial(1000))
    assert told.trial_seconds.value == pytest.approx(alone, rel=0.3)


@pytest.mark.parametrize("by_blocks", [False, True])
def test_only_a_block_of_synthetic_images_takes_memory_where_a_model_learns_by_blocks(tmp_path, by_blocks):
    found = [
        changed(
            each,
            peak_rss_bytes=400_000_000 + 100_000 * each.measurement.train_images,
            learns_by_blocks=by_blocks,
        )
        for each in ended(tmp_path, (500, 1000, 2000, 4000))
    ]
    beyond = trial(60_000, synthetic=54_000)
    told = forecast(found, beyond).peak_rss_bytes.value
    assert told == pytest.approx(400e6 + 100_000 * (10_000 if by_blocks else 60_000), rel=0.2)
    ran = changed(
        replace(found[0], record=replace(found[0].record, trial=beyond)),
        train_images=60_000,
        peak_rss_bytes=610_000_000,
    )
    assert (forecast([ran], beyond).peak_rss_bytes.value) == pytest.approx(610e6)


def test_damaged_runs_and_other_models_are_left_out(tmp_path):
    make_run(tmp_path / "reference", MODELS, name="within")
    make_run(tmp_path, MODELS, name="damaged").write("run.json", b"{}")
    sha256 = known_sha256(make_run(tmp_path, MODELS))
    assert [each.setting.machine for each in read_known(tmp_path, [sha256])] == [ENVIRONMENT.machine] * 2
    assert read_known(tmp_path, ["another"]) == []


def known_sha256(folder):
    return folder.info().models[0].sha256


def test_a_total_adds_up_and_trials_of_one_model_err_together(tmp_path):
    found = ended(tmp_path)
    trials = [trial(1000), trial(1000, seed=10)]
    forecasts = Forecaster(found[0].setting, found).forecasts(trials)
    one, both = forecasts[trials[0].id].trial_seconds, total_seconds(trials, forecasts, 1)
    assert (both.value, both.low, both.high) == pytest.approx((2 * one.value, 2 * one.low, 2 * one.high))
    assert total_seconds(trials, forecasts, 2).value == pytest.approx(one.value)
