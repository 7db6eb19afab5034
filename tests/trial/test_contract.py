"""What an estimator may return, and the errors for what it may not."""

import numpy as np
import pytest

from mnistbench.trial.contract import ContractError, checked_estimator, checked_labels, checked_probabilities


@pytest.mark.parametrize("missing", ["fit", "predict"])
def test_an_estimator_has_both_methods(missing):
    methods = {name: lambda *_: None for name in ("fit", "predict")}
    checked_estimator(type("Whole", (), methods)())
    with pytest.raises(ContractError, match=f"returned a Partial, which has no method {missing}"):
        checked_estimator(type("Partial", (), {**methods, missing: None})())


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], np.array([0, 1, 2], np.uint8), (0, 2, 1), np.array([2, 2, 2], np.int16)]
)
def test_labels_of_any_integer_type_are_accepted(labels):
    notes = {}
    checked = checked_labels(labels, 3, 3, notes)
    assert checked.dtype == np.int64
    assert checked.tolist() == list(labels)
    assert not notes


@pytest.mark.parametrize(
    ("labels", "expected_notes"),
    [
        ([[0], [2], [1]], ["(n, 1)"]),
        ([0.0, 2.0, 1.0], ["as float64"]),
        (np.array([0, 2, 1], np.float16), ["as float16"]),
        (np.array([[0], [2], [1]], np.float32), ["(n, 1)", "as float32"]),
    ],
)
def test_a_column_and_whole_numbers_as_floats_are_taken_with_a_note(labels, expected_notes):
    notes = {}
    for _ in range(2):
        checked = checked_labels(labels, 3, 3, notes)
    assert checked.dtype == np.int64
    assert checked.tolist() == [0, 2, 1]
    assert len(notes) == len(expected_notes)
    assert all(part in note for part, note in zip(expected_notes, notes, strict=True))


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0, 1], r"shape \(2,\); expected \(3,\)"),
        ([[0, 1, 2]], r"shape \(1, 3\)"),
        (np.eye(3), r"shape \(3, 3\)"),
        (["a", "b", "c"], "dtype <U1"),
        ([True, False, True], "dtype bool"),
        ([0.0, 1.0, np.nan], "dtype float64"),
        ([0.0, 1.0, np.inf], "dtype float64"),
        ([0.0, 1.5, 2.0], "dtype float64"),
        ([0.0, 1.0, 3.0], "the label 3"),
        ([None, 1, 2], "dtype object"),
        ([0, 1, 3], "the label 3"),
        ([0, -1, 2], "the label -1"),
        (np.array([0, 2**63, 1], np.uint64), "the label 9223372036854775808"),
        ([[0], [1, 2], []], "a list that is not an array"),
        (None, r"shape \(\)"),
    ],
)
def test_labels_of_any_other_kind_are_refused(labels, reason):
    with pytest.raises(ContractError, match=f"predict returned .*{reason}"):
        checked_labels(labels, 3, 3, {})


LABELS = np.zeros(100, dtype=np.int64)
SURE = np.tile([0.8, 0.1, 0.1], (100, 1))


def test_probabilities_may_disagree_with_a_few_labels_with_a_note():
    probabilities = SURE.copy()
    probabilities[:1] = [0.1, 0.8, 0.1]
    notes = {}
    assert np.array_equal(checked_probabilities(probabilities, LABELS, 3, notes), probabilities)
    assert not notes
    probabilities[:10] = [0.1, 0.8, 0.1]
    checked_probabilities(probabilities, LABELS, 3, notes)
    assert "disagree on 10 of 100 images" in next(iter(notes))
    probabilities[:11] = [0.1, 0.8, 0.1]
    with pytest.raises(ContractError, match="disagree on 11 of 100 images"):
        checked_probabilities(probabilities, LABELS, 3, {})


@pytest.mark.parametrize(
    ("probabilities", "reason"),
    [
        (SURE[:99], r"shape \(99, 3\); expected \(100, 3\)"),
        (SURE[:, :2], r"shape \(100, 2\)"),
        (SURE.argmax(axis=1), r"shape \(100,\)"),
        (SURE.astype(int), "not finite floating-point numbers"),
        (np.where(SURE == 0.8, np.inf, 0), "not finite"),
        (SURE * 1.01, "each must sum to 1"),
        (SURE - [[0, 0.2, -0.2]], "not probabilities"),
        (SURE - [[-0.4, 0.2, 0.2]], "not probabilities"),
        ([[1.0]] * 99 + [[1.0, 0.0]], "a list that is not an array"),
    ],
)
def test_what_are_no_probabilities_is_refused(probabilities, reason):
    with pytest.raises(ContractError, match=f"predict_proba returned .*{reason}"):
        checked_probabilities(probabilities, LABELS, 3, {})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_of_any_precision_are_accepted(dtype):
    scores = np.random.default_rng(0).random((1000, 32)).astype(dtype)
    rows = scores / scores.sum(axis=1, keepdims=True)
    checked_probabilities(rows, rows.argmax(axis=1), 32, {})
