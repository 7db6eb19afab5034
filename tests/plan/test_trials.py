"""From a suite and the user's options to trials, and from odd options to clear errors."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plans import MODELS, RF, SUITE, SVM, model
from support.python import run_python

from mnistbench.datasets.arrays import Extension
from mnistbench.errors import UsageError
from mnistbench.plan.models import builtin_folder
from mnistbench.plan.options import parse_assignments
from mnistbench.plan.trials import (
    Options,
    Suite,
    choose_models,
    choose_suite,
    extension_for,
    plan,
    read_suites,
)

ONE = replace(SUITE, train_sizes=(None,), seeds=(0,))


def variants(dataset, *assignments: str, models=(SVM,)) -> list[dict[str, object]]:
    """Return the parameters that the trials of one round have."""
    options = Options(parameters=parse_assignments(assignments))
    return [dict(trial.parameters) for trial in plan(ONE, options, models, dataset)]


def test_trials_come_in_rounds_of_all_models(dataset):
    options = Options(threads=(1, 2), repeats=2, parameters={"svm": {"C": (1.0, 2.0)}})
    trials = plan(SUITE, options, [SVM, RF], dataset)
    assert len(trials) == 2 * 2 * 2 * 2 * 3
    rounds = [trials[start : start + 3] for start in range(0, len(trials), 3)]
    for one_round in rounds:
        assert [t.model for t in one_round] == ["svm", "svm", "rf"]
        assert [t.parameters.get("C") for t in one_round] == [1.0, 2.0, None]
        assert len({(t.repeat, t.seed, t.threads, t.train_size) for t in one_round}) == 1
    order = [(r[0].repeat, r[0].seed, r[0].threads, r[0].train_size or 240) for r in rounds]
    assert order == sorted(order)
    assert len({t.id for t in trials}) == len(trials)


@pytest.mark.parametrize(
    ("split", "available", "holdout"), [("test", 240, None), ("validation", 200, "last")]
)
def test_more_images_than_the_data_set_has_are_synthetic_and_extend_its_training_part(
    dataset, split, available, holdout
):
    options = Options(seeds=(0,), train_sizes=(available, 100, available + 1, 5_000), split=split)
    trials = plan(SUITE, options, [SVM], dataset)
    assert [(t.train_size, t.synthetic) for t in trials] == [
        (None, 0),
        (100, 0),
        (available + 1, 1),
        (5_000, 5_000 - available),
    ]
    assert extension_for(trials) == Extension(5_000 - available, "", holdout)
    assert extension_for(trials[:2]) is None


def test_a_trial_describes_itself_completely(dataset):
    (trial,) = plan(ONE, Options(split="validation", seeds=(7,)), [RF], dataset)
    assert (trial.dataset, trial.dataset_sha256) == ("noise", dataset.sha256)
    assert (trial.train_size, trial.seed, trial.threads, trial.repeat) == (None, 7, 1, 0)
    assert (trial.split, dict(trial.parameters)) == ("validation", {"trees": 100})


def test_a_plan_is_the_same_in_every_process(dataset):
    trials = plan(SUITE, Options(), [SVM, RF], dataset)
    code = (
        "from support.plans import *\nfrom types import SimpleNamespace\n"
        f"data = SimpleNamespace(name='noise', sha256={dataset.sha256!r}, train_count=240, holdout='last')\n"
        "print(*(t.id for t in plan(SUITE, Options(), [SVM, RF], data)))"
    )
    answer = run_python(code, env={"PYTHONHASHSEED": "123", "PATH": ""})
    assert answer.stdout.split() == [trial.id for trial in trials]


def test_set_makes_every_combination(dataset):
    made = variants(dataset, "svm.C=1,2.5", "svm.gamma=scale,auto")
    assert [(p["C"], p["gamma"]) for p in made] == [
        (1.0, "scale"),
        (1.0, "auto"),
        (2.5, "scale"),
        (2.5, "auto"),
    ]


def test_equal_values_are_one_trial_however_they_are_written(dataset):
    made = variants(dataset, "svm.C=10,10.0,1e1", "svm.C=10")
    assert len(made) == 1
    assert type(made[0]["C"]) is float
    options = Options(parameters=parse_assignments(["svm.C=10"]))
    assert plan(ONE, options, [SVM], dataset) == plan(ONE, Options(), [SVM], dataset)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("svm.gamma=0.05", 0.05),  # a parameter that takes a word or a number
        ("svm.gamma=auto", "auto"),
        ("svm.gamma='0.05'", "0.05"),
        ("svm.gamma=None", None),
        ("svm.weights=balanced", "balanced"),
        ("svm.weights=3", 3),
        ("svm.cache=500", 500),
        ("svm.shrinking=false", False),
        ("svm.shrinking=True", True),
        ("svm.sizes=[3, 4]", (3, 4)),
        ("svm.sizes=(3, 4)", (3, 4)),
        ("svm.sizes=(5,)", (5,)),
    ],
)
def test_values_take_the_form_of_their_default(dataset, assignment, value):
    name = assignment.partition("=")[0].removeprefix("svm.")
    (parameters,) = variants(dataset, assignment)
    assert parameters[name] == value
    assert type(parameters[name]) is type(value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("svm.C=big", "--set svm.C='big': expected a value like its default 10.0 (float)"),
        ("svm.cache=1.5", "--set svm.cache=1.5: expected a value like its default 200 (int)"),
        ("svm.cache=True", "--set svm.cache=True: expected a value like its default 200 (int)"),
        ("svm.shrinking=1", "--set svm.shrinking=1: expected"),
        ("svm.gamma=[1]", "--set svm.gamma=(1,): expected"),
        ("svm.sizes=3", "--set svm.sizes=3: expected"),
        ("svm.weights={'a': 1}", "--set svm.weights: {'a': 1} is not a number, text,"),
        ("svm.weights=1j", "--set svm.weights: 1j is not"),
        ("svm.weights=...", "--set svm.weights: Ellipsis is not"),
        ("svm.C=1" + "0" * 400, "--set svm.C: int too large to convert to float"),
        ("svm.gama=1", "there is no parameter of svm named 'gama'. Did you mean gamma?"),
    ],
)
def test_a_wrong_parameter_is_refused(dataset, assignment, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        variants(dataset, assignment)


@given(st.text())
def test_no_value_raises_anything_but_a_usage_error(dataset, text):
    try:
        trials = plan(ONE, Options(parameters=parse_assignments([f"svm.weights={text}"])), [SVM], dataset)
    except UsageError:
        return
    assert trials


def test_models_are_the_suites_and_the_users_own_unless_named():
    models = {**MODELS, "mine": model("mine")}
    assert [m.name for m in choose_models(SUITE, Options(), models)] == ["svm", "rf"]
    assert [m.name for m in choose_models(SUITE, Options(), models, ["mine"])] == ["svm", "rf", "mine"]
    assert [m.name for m in choose_models(SUITE, Options(only=("rf",)), models, ["mine"])] == ["rf"]
    assert [m.name for m in choose_models(SUITE, Options(skip=("rf",)), models)] == ["svm"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(only=("svn",)), "no model named 'svn'. Did you mean svm?"),
        (Options(skip=("fr",)), "no model named 'fr'"),
        (Options(parameters={"smv": {"C": (1,)}}), "no model named 'smv'. Did you mean svm?"),
        (
            Options(only=("rf",), parameters={"svm": {"C": (1,)}}),
            "--set names svm, which is not part of this run",
        ),
        (Options(only=("rf",), skip=("rf",)), "no model is left to run"),
    ],
)
def test_unavailable_models_are_reported(options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        choose_models(SUITE, options, MODELS)


def test_a_suites_sizes_shrink_to_the_data_set_and_the_users_do_not(dataset):
    large = replace(SUITE, train_sizes=(5000, 100, None))
    trials = plan(large, Options(seeds=(0,)), [RF], dataset)
    assert [t.train_size for t in trials] == [None, 100]
    trials = plan(large, Options(seeds=(0,), train_sizes=(240, 10, None)), [RF], dataset)
    assert [t.train_size for t in trials] == [None, 10]
    for size in (9, 8_100_001):
        with pytest.raises(
            UsageError,
            match=rf"--train-size {size} is out of range: Noise allows 10 .* to 240,.* up to 8100000",
        ):
            plan(SUITE, Options(train_sizes=(size,)), [RF], dataset)
    with pytest.raises(UsageError, match="to 200,"):
        plan(SUITE, Options(train_sizes=(9,), split="validation"), [RF], dataset)


def test_large_sizes_run_the_first_seed_unless_seeds_are_asked_for(dataset):
    suite = replace(SUITE, train_sizes=(20, 100, None), seeds=(3, 1, 2), first_seed_from=100)
    planned = [(t.train_size, t.seed) for t in plan(suite, Options(), [RF], dataset)]
    assert planned == [(20, 3), (100, 3), (None, 3), (20, 1), (20, 2)]
    assert len(plan(suite, Options(seeds=(1, 2)), [RF], dataset)) == 6


def test_suites_are_read_and_chosen(tmp_path):
    path = tmp_path / "suites.toml"
    path.write_text(
        '[tiny]\nsummary = "S."\nmodels = ["svm"]\ntrain_sizes = [10, 0]\nseeds = [1, 2]\n'
        "timeout_seconds = 5\nfirst_seed_from = 100\n"
        '[plain]\nsummary = "P."\nmodels = ["svm"]\n'
    )
    suites = read_suites(path)
    assert suites["tiny"] == Suite("tiny", "S.", ("svm",), (10, None), (1, 2), 5.0, (), 100)
    assert suites["plain"] == Suite("plain", "P.", ("svm",), (None,), (0,), 3600.0)
    assert choose_suite(suites, "tiny") is suites["tiny"]
    with pytest.raises(UsageError, match=r"no suite named 'tny'. Did you mean tiny\?"):
        choose_suite(suites, "tny")


def test_the_suites_of_the_package_can_be_read():
    suites = read_suites(builtin_folder() / "suites.toml")
    assert {"quick", "standard"} <= set(suites)
    assert suites["standard"].train_sizes == (None,)


SUMMARY = '[s]\nsummary = "x"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[s", "is not valid TOML"),
        (b"x = '\xff'", "is not valid TOML"),
        (b"quick = 3", "quick is outside a suite"),
        (b'[s]\nmodels = ["svm"]', "summary = None; expected a sentence"),
        (SUMMARY.encode(), "models = None; expected a list of model names"),
        (f'{SUMMARY}models = "svm"'.encode(), "models = 'svm'; expected a list"),
        (f"{SUMMARY}models = []".encode(), "models = []; expected a list"),
        (f'{SUMMARY}models = ["svm"]\ntrain_sizes = [-5]'.encode(), "train_sizes = [-5]; expected a list of"),
        (f'{SUMMARY}models = ["svm"]\nseeds = ["a"]'.encode(), "seeds = ['a']; expected a list of"),
        (f'{SUMMARY}models = ["svm"]\nfirst_seed_from = 0'.encode(), "expected a number of images"),
        (f'{SUMMARY}models = ["svm"]\ntimeout_seconds = 0'.encode(), "expected a positive number of seconds"),
        (f'{SUMMARY}models = ["svm"]\nmeasurements = ["x"]'.encode(), "expected some of "),
    ],
)
def test_a_wrong_suite_is_refused(tmp_path, content, message):
    path = tmp_path / "suites.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(message)):
        read_suites(path)


def test_missing_suites_are_reported(tmp_path):
    with pytest.raises(UsageError, match=r"suites.toml cannot be read: No such file"):
        read_suites(tmp_path / "suites.toml")


def test_trials_hold_out_what_suits_the_data_set(dataset):
    drawn = replace(dataset, holdout="stratified")
    for split in ("test", "validation"):
        trials = plan(SUITE, Options(split=split), [RF], drawn)
        assert {trial.holdout for trial in trials} == {"stratified"}


def test_too_few_images_for_a_hold_out_are_refused_before_anything_runs(dataset):
    small = replace(dataset, holdout=None, train_count=5, classes=(0, 1))
    with pytest.raises(
        UsageError, match=r"--validation .* is too small, with 5 training images of 2 classes"
    ):
        plan(SUITE, Options(split="validation"), [RF], small)
    assert plan(SUITE, Options(), [RF], small)
