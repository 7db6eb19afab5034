"""A trial's id is what is run; its seeds are its own."""

import json
from dataclasses import replace

import numpy as np
from support.python import run_python
from support.records import TRIAL

from mnistbench.runs.json import from_json, to_json
from mnistbench.runs.records import Failure, Trial


def test_the_id_depends_on_what_is_run_and_nothing_else():
    reordered = replace(TRIAL, parameters=dict(reversed(TRIAL.parameters.items())))
    assert reordered.id == TRIAL.id
    assert len(TRIAL.id) == 12
    for change in (
        {"dataset": "x"},
        {"dataset_sha256": "cd" * 32},
        {"train_size": None},
        {"model": "rf"},
        {"parameters": {**TRIAL.parameters, "C": 10.5}},
        {"parameters": {**TRIAL.parameters, "flag": 1}},
        {"seed": 4},
        {"threads": 1},
        {"split": "validation"},
    ):
        assert replace(TRIAL, **change).id != TRIAL.id
    assert replace(TRIAL, repeat=2).id == f"{TRIAL.id}-2"


def test_the_id_is_the_same_in_every_process_and_for_ever():
    assert TRIAL.id == "57c21c4e6ea5"
    answer = run_python(
        "from support.records import TRIAL; print(TRIAL.id)", env={"PYTHONHASHSEED": "77", "PATH": ""}
    )
    assert answer.stdout.strip() == TRIAL.id


def test_how_many_images_are_synthetic_is_part_of_a_trial_that_has_some():
    assert replace(TRIAL, synthetic=10).id != TRIAL.id
    assert replace(TRIAL, synthetic=0).id == TRIAL.id


def test_derived_seeds_are_independent_of_everything_but_seed_and_axis():
    assert TRIAL.derived_seed("fit") != TRIAL.derived_seed("subset")
    assert TRIAL.derived_seed("fit") == replace(TRIAL, model="rf", train_size=None, repeat=1).derived_seed(
        "fit"
    )
    seeds = [replace(TRIAL, seed=n).derived_seed(axis) for n in range(500) for axis in ("fit", "subset")]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert abs(np.mean(seeds) / 2**30 - 1) < 0.1


def test_the_kind_of_hold_out_is_part_of_a_trial_only_where_it_judges_the_trial():
    judged = replace(TRIAL, split="validation")
    assert replace(judged, holdout="stratified").id != judged.id
    assert replace(TRIAL, holdout="stratified").id == TRIAL.id


def test_a_trial_of_an_earlier_version_held_out_the_last_images():
    earlier = replace(TRIAL, split="validation")
    values = json.loads(json.dumps(to_json(earlier)))
    del values["holdout"]
    again = from_json(Trial, values)
    assert (again.holdout, again.id) == ("last", earlier.id)


def test_sizes_and_failures_have_one_wording():
    assert replace(TRIAL, train_size=5000).size_label == "5,000 images"
    assert replace(TRIAL, train_size=None).size_label == "all images"
    assert replace(TRIAL, train_size=70_000, synthetic=10_000).size_label == "70,000 images, 10,000 synthetic"
    assert str(Failure("SIGSEGV", "it crashed")) == "SIGSEGV: it crashed"
