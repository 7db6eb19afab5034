"""The options' texts are read in one way, or refused with what was expected."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.errors import UsageError
from mnistbench.plan.options import (
    choose_threads,
    parse_assignments,
    parse_bytes,
    parse_duration,
    parse_integers,
    parse_margin,
    parse_measurements,
    parse_names,
    parse_sizes,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,10", (1, 10)),
        ("scale,0.1", ("scale", 0.1)),
        ("None,balanced", (None, "balanced")),
        ("true,false", (True, False)),
        ("[1,2],[3]", ([1, 2], [3])),
        ("'a,b','c'", ("a,b", "c")),
        ("l1/l2", ("l1/l2",)),
        ("a=b", ("a=b",)),
        ("1#2", ("1#2",)),
        ("1], [2", ("1]", "[2")),
        ("C:\\dir", ("C:\\dir",)),
        ("1,", (1,)),
        ("-1e-3", (-1e-3,)),
        ("two words", ("two words",)),
    ],
)
def test_values_are_literals_or_text(text, values):
    assert parse_assignments([f"m.p={text}"]) == {"m": {"p": values}}


@pytest.mark.parametrize(
    "assignment", ["", "svm", "svm.C", "svm=1", "svm.C=", "svm.=1", ".C=1", "=", "svm.C=,", "m.p= "]
)
def test_a_malformed_assignment_is_rejected(assignment):
    with pytest.raises(UsageError, match=r"is not understood; expected MODEL\.PARAM=VALUE"):
        parse_assignments([assignment])


@given(st.lists(st.text(), max_size=3))
def test_no_assignment_raises_anything_but_a_usage_error(texts):
    try:
        read = parse_assignments(texts)
    except UsageError:
        return
    assert all(values for parameters in read.values() for values in parameters.values())


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@given(st.lists(SCALARS, min_size=1, max_size=4))
def test_values_written_as_literals_are_read_back(values):
    text = ",".join(repr(value) for value in values)
    assert parse_assignments([f"m.p={text}"]) == {"m": {"p": tuple(values)}}


def seeds(text):
    return parse_integers(text, "--seeds")


@pytest.mark.parametrize(
    ("parse", "values"),
    [
        (seeds, {"3": (3,), "0,1,2": (0, 1, 2), "0-2": (0, 1, 2), " 5 , 1 - 2,5": (5, 1, 2), "7-7": (7,)}),
        (parse_bytes, {"2000000": 2_000_000, "1K": 1024, "500M": 500 * 2**20, " 4g ": 4 * 2**30}),
        (parse_bytes, {"1.5 GiB": 3 * 2**29, "2tb": 2 * 2**40}),
        (parse_margin, {"0.2": 0.002, "0": 0, "1": 0.01, "100": 1}),
        (parse_duration, {"90s": 90, "90": 90, "10m": 600, "1h30m": 5400, "2h": 7200}),
    ],
)
def test_integers_bytes_points_and_times_are_read(parse, values):
    assert {text: parse(text) for text in values} == values


@pytest.mark.parametrize(
    ("parse", "message", "texts"),
    [
        (
            seeds,
            r"--seeds .* is not understood; expected whole numbers from 0",
            ["", "x", "-1", "1.5", "3-1", "1,3-1", "1,,2", "1-2-3", "--1", "1e3", "٣", "1_000", "9" * 5000],
        ),
        (
            parse_bytes,
            r"is not understood; expected e\.g\. 4G",
            ["", "0", "0.4", "-1G", "4X", "G", "1e9", "4\u212a", "9" * 400 + "G", "٣G", "4 G G"],
        ),
        (parse_margin, "expected percentage points", ["", "-0.1", "nan", "inf", "101", "0.2 points"]),
        (
            parse_duration,
            r"expected a time, e\.g\. 90s, 10m or 1h30m",
            ["", "0s", "m", "30m1h", "-5m", "1.5h", "ten"],
        ),
    ],
)
def test_malformed_numbers_are_rejected(parse, message, texts):
    for text in texts:
        with pytest.raises(UsageError, match=message):
            parse(text)


def test_a_list_of_integers_has_an_end():
    with pytest.raises(UsageError, match="has 1,000,000,000 values; the maximum is 10,000"):
        seeds("0-999999999")
    assert len(seeds("0-9999")) == 10_000


@given(st.text())
def test_no_text_breaks_the_parsers(text):
    for parse in (
        *(seeds, parse_sizes, parse_bytes, parse_margin, parse_measurements, parse_duration),
        lambda t: parse_names(t, "--only"),
        lambda t: choose_threads(t, 1, 4),
    ):
        try:
            parse(text)
        except UsageError:
            continue


def test_sizes_threads_names_and_measurements_are_read():
    assert parse_sizes("1000,0") == (1000, None)
    assert choose_threads(None, jobs=2, cores=9) == (4,)
    assert choose_threads("1,4", jobs=2, cores=9) == (1, 4)
    assert parse_names(" svm, rf,svm,", "--only") == ("svm", "rf")
    assert parse_measurements("none") == ()
    assert parse_measurements("inference") == ("inference",)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose_threads(None, jobs=3, cores=2), "--jobs 3 needs a core for each trial"),
        (lambda: choose_threads("3", jobs=1, cores=2), "--threads 3 is more than the 2 cores"),
        (lambda: choose_threads("0", jobs=1, cores=2), "expected whole numbers from 1"),
        (lambda: parse_names(" , ", "--only"), "--only ' , ' is empty"),
        (lambda: parse_measurements("inferense"), "Did you mean inference?"),
    ],
)
def test_wrong_options_are_rejected(call, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        call()
