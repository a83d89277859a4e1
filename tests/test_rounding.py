"""Figures print alike if sums differ in their last bits, and otherwise as Python prints them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro.rounding import fixed, settled

TIES = [(0.8875, 3, "0.888"), (0.1125, 3, "0.113"), (0.125, 2, "0.13"), (0.135, 2, "0.14"), (-0.0125, 3, "-0.013"),
        (2.5, 0, "3"), (3.5, 0, "4"), (100 * 0.0115, 1, "1.2"), (100 * 0.545, 0, "55")]  # fmt: skip


@pytest.mark.parametrize(("value", "places", "expected"), TIES)
@pytest.mark.parametrize("bits", range(-3, 4))
def test_a_tie_is_rounded_away_from_zero_whatever_its_last_bits(
    value: float, places: int, expected: str, bits: int
) -> None:
    assert fixed(value + bits * math.ulp(value), places) == expected


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-17, -1e-17])
def test_zero_after_rounding_has_no_minus_sign(value: float) -> None:
    assert (fixed(value, 3), fixed(value, 3, "+")) == ("0.000", "+0.000")


@pytest.mark.parametrize(
    ("value", "places", "form", "expected"),
    [
        (-0.0003, 3, "", "-0.000"),
        (0.25, 1, "+", "+0.3"),
        (1234567.0, 0, ",", "1,234,567"),
        (-1234.56, 1, "+,", "-1,234.6"),
        (0.0000001, 9, "", "0.000000100"),
        (math.inf, 3, "+", "+inf"),
        (math.nan, 3, "", "nan"),
        (np.float32(0.5), 1, "", "0.5"),
        (7, 2, "", "7.00"),
    ],
)
def test_signs_thousands_and_extremes(value: float, places: int, form: str, expected: str) -> None:
    assert fixed(value, places, form) == expected


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 4), st.sampled_from(["", "+", ",", "+,"]))
def test_away_from_ties_it_prints_as_python_does(value: float, places: int, form: str) -> None:
    cut = abs(value) * 10**places % 1
    if abs(cut - 0.5) < 1e-5 or 0 < abs(value) < 1e-5:
        return
    assert fixed(value, places, form) == f"{value:{form}.{places}f}"


def test_equal_means_are_equal_whatever_the_order_of_their_terms() -> None:
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert settled(0.1 + 0.2 + 0.3) == settled(0.3 + 0.2 + 0.1) == 0.6
    assert settled(float(np.float32(0.5))) == 0.5
