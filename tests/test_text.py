"""Numbers keep the digits that matter, and text cannot act."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.text import MISSING, count, duration, interval, percent, three_digits, visible


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.0123456, "0.0123"),
        (0.99951, "1.00"),
        (9.996, "10.0"),
        (38.04, "38.0"),
        (999.6, "1,000"),
        (141_499.0, "141,000"),
        (-2.5, "-2.50"),
        (None, MISSING),
        (math.nan, MISSING),
        (math.inf, MISSING),
    ],
)
def test_three_digits_are_kept(value, shown):
    assert three_digits(value) == shown


@given(st.floats(min_value=1e-5, max_value=1e12))
def test_three_digits_stay_within_half_a_unit_of_the_third(value):
    shown = float(three_digits(value).replace(",", ""))
    unit = max(10.0 ** (math.floor(math.log10(value)) - 2), 1e-6)
    assert abs(shown - value) <= 0.5000001 * unit + 1e-12


def test_a_percentage_has_the_decimals_that_one_image_moves():
    assert percent(0.98371, 10_000) == "98.37"
    assert percent(0.98371, 360) == "98.4"
    assert percent(0.98371, 2) == "98.4"
    assert percent(None, 10_000) == MISSING


def test_an_interval_has_the_decimals_of_its_percentages():
    assert interval(0.981, 0.986, 10_000) == "98.10\N{NON-BREAKING HYPHEN}98.60"
    assert interval(None, 0.5, 10) == MISSING


def test_counts_and_durations_have_readable_units():
    assert [count(v) for v in (1234, 163.33, None)] == ["1,234", "163.3", MISSING]
    times = {0.5: "0.500 s", 14.24: "14.2 s", 200: "3 min 20 s", 240: "4 min", 7500: "2 h 5 min", 7200: "2 h"}
    assert {seconds: duration(seconds) for seconds in times} == times


def test_control_characters_are_made_visible_and_not_sent():
    assert visible("a\x1b[31mb\u202ec\x07") == r"a\x1b[31mb\u202ec\x07"
    assert visible("Zürich, 東京 ✓") == "Zürich, 東京 ✓"


@given(st.text())
def test_what_is_visible_is_printable_and_stays_so(text):
    shown = visible(text)
    assert all(c == " " or c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & {"\x1b", "\x9b", "\r", "\n", "\u2028"}
    assert visible(shown) == shown
