"""A pilot costs no more than its share of the time that it foretells; its clock is made up."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.plans import model
from support.synthetic_runs import Model, dataset, make_run

from mnistbench.execution import pilot
from mnistbench.execution.runner import Limits, Plan
from mnistbench.plan.forecast import Forecaster, known
from mnistbench.runs.records import Trial

IMAGES = 6000
NAMES = ("one", "other")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs"), {name: Model() for name in NAMES}, threads=(1,))
    return known(folder, [each.sha256 for each in folder.info().models])[0]


@pytest.fixture(scope="module")
def piloted(template):
    """Return what runs a pilot of two models, whose whole trials take a + b n^k seconds on a share n."""

    def made(laws, *, seeds=1, **options):
        now, ended, sizes = 0.0, [], {name: [] for name in NAMES}
        trials = [
            Trial("mnist", dataset().sha256, None, name, {}, seed, 1)
            for seed in range(seeds)
            for name in NAMES
        ]

        def foretold():
            forecasts = Forecaster(template.setting, ended).forecasts(trials)
            return sum(each.trial_seconds.value for each in forecasts.values())

        def run_trial(plan, place, observer, deadline):
            nonlocal now
            (trial,) = plan.trials
            a, b, k = laws[trial.model]
            seconds = a + b * (trial.train_size / IMAGES) ** k
            share = pilot.MOST_SHARE * foretold() if sizes[trial.model] else deadline
            sizes[trial.model].append(trial.train_size)
            now = min(now + seconds, deadline)
            assert now <= share * (1 + 1e-9)
            if now == deadline:
                return []
            measured = replace(
                template.measurement,
                train_images=trial.train_size,
                fit_seconds=seconds - a,
                fit_cpu_seconds=seconds - a,
                predict_seconds=0.0,
            )
            record = replace(template.record, trial=trial, trial_seconds=seconds, measurement=measured)
            ended.append(replace(template, record=record, measurement=measured, is_pilot=True))
            return ended[-1:]

        limits = Limits(1e9, 2**40)
        plan = Plan("s", dataset(), "mnist", trials, [model(name) for name in NAMES], limits, ())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pilot, "_run", run_trial)
            patch.setattr(pilot, "time", SimpleNamespace(monotonic=lambda: now))
            return pilot.run_pilot(plan, Forecaster(template.setting, []), None, **options), sizes

    return made


@pytest.mark.parametrize("one", [(1, 100, 1), (5, 10, 1), (0.5, 1000, 0.7)])
@pytest.mark.parametrize("other", [(1, 30, 1), (0.1, 300, 2)])
@pytest.mark.parametrize("seeds", [1, 30])
def test_after_the_first_trial_of_each_model_it_keeps_within_its_share(piloted, one, other, seeds):
    ended, sizes = piloted({"one": one, "other": other}, seeds=seeds, is_asked_for=True)
    assert {each.record.trial.model for each in ended.ended} == set(NAMES)
    assert seeds == 1 or all(len(each) > 1 for each in sizes.values())


def test_it_stops_a_trial_at_its_share_and_gives_that_model_no_larger_one(piloted):
    ended, sizes = piloted({"one": (0.1, 1e7, 5), "other": (0.1, 20, 1)}, seeds=9, is_asked_for=True)
    assert len(sizes["one"]) == 2
    assert [each.record.trial.model for each in ended.ended] == list(NAMES)


def test_unasked_it_runs_only_where_enough_trials_follow(piloted):
    quick = dict.fromkeys(NAMES, (1, 100, 1))
    assert piloted(quick, seeds=19, is_asked_for=False)[0].seconds == 0
    assert piloted(quick, seeds=20, is_asked_for=False)[0].seconds > 0


def test_it_ends_by_the_deadline(piloted):
    slow = dict.fromkeys(NAMES, (0, 1e6, 1))
    ended, _ = piloted(slow, is_asked_for=True, deadline=100.0)
    assert (ended.seconds, ended.ended) == (100, ())
