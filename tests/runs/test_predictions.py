"""Predictions come back as they were; damage is refused, and nothing is unpickled."""

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support.files import Trap

from mnistbench.runs.predictions import OnCopies, decode_predictions, encode_predictions, predictions_digest


@given(npst.arrays(np.int64, st.integers(0, 20)), st.none() | st.integers(1, 5))
def test_predictions_come_back_as_they_were(labels, columns):
    probabilities = None if columns is None else np.linspace(0, 1, len(labels) * columns).reshape(-1, columns)
    read = decode_predictions(encode_predictions(labels, probabilities))
    assert np.array_equal(read.labels, labels)
    assert read.labels.dtype == np.int64
    if probabilities is None:
        assert read.probabilities is None
    else:
        assert read.probabilities.dtype == np.float32
        assert np.array_equal(read.probabilities, probabilities.astype(np.float32))


def test_the_digest_depends_on_values_alone():
    labels, probabilities = np.array([4, 7, 61]), np.full((3, 2), 0.5)
    read = decode_predictions(encode_predictions(labels, probabilities))
    digest = predictions_digest(read)
    assert digest == predictions_digest(
        decode_predictions(encode_predictions(labels.astype(np.int8), probabilities))
    )
    assert digest != predictions_digest(replace(read, probabilities=None))
    assert digest != predictions_digest(replace(read, labels=read.labels[::-1]))


PACKED = encode_predictions(np.arange(40), np.full((40, 3), 1 / 3))


def saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def plain_npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"PK\x03\x04",
        b"<html>404</html>",
        plain_npy(),
        saved(other=np.arange(3)),
        saved(labels=np.arange(3.0)),
        saved(labels=np.zeros((3, 3), dtype=np.int64)),
        saved(labels=np.arange(3), probabilities=np.ones((2, 2), dtype=np.float32)),
        saved(labels=np.arange(3), probabilities=np.ones(3, dtype=np.float32)),
        saved(labels=np.arange(3), probabilities=np.array([["a"], ["b"], ["c"]])),
        PACKED[: len(PACKED) // 2],
    ],
)
def test_a_file_without_predictions_is_refused(packed):
    with pytest.raises(ValueError, match="not a file of predictions"):
        decode_predictions(packed)


def test_nothing_is_ever_unpickled(tmp_path):
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)], dtype=object)
    for packed in (saved(labels=trap), saved(labels=np.arange(1), probabilities=trap), pickle.dumps(trap)):
        with pytest.raises(ValueError, match="not a file of predictions"):
            decode_predictions(packed)
    assert not sprung.exists()


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_value_error(packed):
    with pytest.raises(ValueError, match="not a file of predictions"):
        decode_predictions(packed)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_or_changes_nothing(place, change):
    damaged = bytearray(PACKED)
    damaged[place] ^= change
    try:
        read = decode_predictions(bytes(damaged))
    except ValueError:
        return
    assert np.array_equal(read.labels, np.arange(40))


def test_predictions_for_copies_come_back_and_count_in_the_digest():
    labels = np.array([-3, 7, 300])
    scored = OnCopies(labels[::-1], np.float16([0.5, 0.6, 1]), np.float16([0, 2.5, 36]))
    on_copies = {"shift-1": scored, "stripe-3": OnCopies(labels)}
    packed = encode_predictions(labels, None, on_copies)
    read = decode_predictions(packed)
    assert list(read.on_copies) == list(on_copies)
    assert np.array_equal(read.on_copies["shift-1"].labels, scored.labels)
    assert np.array_equal(read.on_copies["shift-1"].surprise, scored.surprise)
    assert read.on_copies["stripe-3"].confidence is None
    assert decode_predictions(packed, labels_only=True).on_copies == {}
    plain = decode_predictions(encode_predictions(labels, None))
    edited = {**on_copies, "stripe-3": OnCopies(labels[::-1])}
    digests = {predictions_digest(p) for p in (read, plain, replace(read, on_copies=edited))}
    assert len(digests) == 3
