"""A budget chooses sizes, the same for all models, and repeats, from forecasts whose law is known."""

import pytest
from support.synthetic_runs import Model, dataset, make_run

from mnistbench.errors import UsageError
from mnistbench.plan.budget import MOST_REPEATS, choose
from mnistbench.plan.forecast import Forecaster, known, total_seconds
from mnistbench.runs.records import Trial

MODELS = {"svm": Model(fit_seconds=60), "logreg": Model(fit_seconds=6)}  # on all 6,000 images


@pytest.fixture
def forecaster(tmp_path):
    sizes = (300, 600, 1200, 3000, None)
    folder = make_run(tmp_path, MODELS, train_sizes=sizes, seeds=(0, 1), threads=(1,))
    found = known(folder, [model.sha256 for model in folder.info().models])
    return Forecaster(found[0].setting, found)


def planned_on(*wanted):
    def planned(sizes, repeats):
        return [
            Trial("mnist", dataset().sha256, size, model, {}, 9, 1, repeat=repeat)
            for repeat in range(repeats)
            for size in sizes or wanted
            for model in MODELS
        ]

    return planned


@pytest.mark.parametrize("seconds", [12, 40, 100, 300, 3000])
@pytest.mark.parametrize("wanted", [(None,), (600, 1200, 3000, None)])
def test_what_is_chosen_fits_and_every_model_has_the_same_sizes_and_repeats(forecaster, seconds, wanted):
    choice = choose(planned_on(*wanted), forecaster, repeats=1, seconds=seconds, jobs=1)
    assert total_seconds(choice.trials, forecaster.forecasts(choice.trials), 1).value <= seconds
    of_models = [
        [(trial.train_size, trial.repeat) for trial in choice.trials if trial.model == model]
        for model in MODELS
    ]
    assert of_models[0] == of_models[1]
    chosen = {trial.train_size for trial in choice.trials}
    assert len(choice.left_out) == len(set(wanted) - chosen)
    if seconds == 3000:
        assert chosen == set(wanted)
        assert len(choice.trials) == MOST_REPEATS * len(wanted) * len(MODELS)


def test_the_repeats_that_were_asked_for_and_do_not_fit_are_named(forecaster):
    choice = choose(planned_on(None), forecaster, repeats=4, seconds=180, jobs=1)
    assert {trial.repeat for trial in choice.trials} == {0, 1}
    assert choice.left_out == ("all but 2 of 4 repeats",)


def test_a_budget_for_nothing_is_refused(forecaster):
    with pytest.raises(UsageError, match="one round of the models takes about"):
        choose(planned_on(None), forecaster, repeats=1, seconds=2, jobs=1)
