"""Every type comes back from JSON as it was, and JSON of another kind is refused."""

import json
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import FAILED, MEASUREMENT, QUALITY, RECORD, TRIAL

from mnistbench.errors import MnistbenchError
from mnistbench.runs.json import from_json, to_json
from mnistbench.runs.records import (
    Batches,
    ColdStart,
    Failure,
    Inference,
    MachineLoad,
    Measurement,
    ModelInfo,
    Record,
    RunInfo,
    Trial,
)


@pytest.mark.parametrize("value", [TRIAL, MEASUREMENT, QUALITY, RECORD, FAILED, RECORD.environment])
def test_every_type_comes_back_from_json_as_it_was(value):
    assert from_json(type(value), json.loads(json.dumps(to_json(value)))) == value


def test_the_examples_of_this_test_leave_no_field_of_a_type_out(info):
    def types(value: object) -> set[type]:
        if isinstance(value, tuple):
            return set().union(*map(types, value))
        if not is_dataclass(value):
            return set()
        return {type(value)}.union(*(types(getattr(value, f.name)) for f in fields(value)))

    named = {Trial, Measurement, Record, Failure, ModelInfo, RunInfo}
    named |= {Batches, Inference, ColdStart, MachineLoad}
    assert named <= types(RECORD) | types(FAILED) | types(info)


def test_a_plan_comes_back_from_its_file(folder, info):
    assert folder.info() == info
    assert folder.name == info.name


def test_unknown_fields_of_a_newer_version_are_left_out():
    values = json.loads(json.dumps(to_json(RECORD)))
    values["colour"] = "red"
    values["trial"]["colour"] = "red"
    assert from_json(Record, values) == RECORD


@given(st.floats(allow_nan=False))
def test_floats_keep_every_bit(value):
    record = replace(RECORD, trial_seconds=value)
    assert from_json(Record, json.loads(json.dumps(to_json(record)))).trial_seconds == value


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_parameters_of_every_form_keep_their_trial(parameters):
    trial = replace(TRIAL, parameters=parameters)
    again = from_json(Trial, json.loads(json.dumps(to_json(trial))))
    assert again == trial
    assert again.id == trial.id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("trial", "repeat"), "/../../../etc/passwd"),
        (("trial", "repeat"), True),
        (("trial", "model"), 3),
        (("trial", "parameters"), []),
        (("trial", "parameters"), {"a": {"b": 1}}),
        (("trial",), None),
        (("trial_seconds",), "fast"),
        (("status",), "splendid"),
        (("environment", "libraries"), ["numpy"]),
        (("environment", "libraries"), {"numpy": 2}),
        (("measurement", "warnings"), "text"),
        (("measurement", "inference", "batches"), [1]),
        (("measurement",), []),
    ],
)
def test_a_value_of_another_type_is_damage(folder, path, value):
    values = json.loads(json.dumps(to_json(RECORD)))
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (folder.path / "records.jsonl").write_text(json.dumps(values) + "\n")
    with pytest.raises(MnistbenchError, match="line 1, is damaged"):
        folder.records()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["trial", "status", "id"]), inner),
)


@given(JSON)
def test_no_json_raises_anything_but_type_and_value_errors(values):
    with pytest.raises((TypeError, ValueError)):
        from_json(Record, values)
