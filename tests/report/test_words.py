"""Numbers print with sensible digits, and rounding never claims certainty."""

from __future__ import annotations

import pytest

from bl_neuro.report import words


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0%"), (1.0, "100%"), (0.94, "94%"), (0.995, "99.5%"), (0.9996, "99.96%"), (0.002, "0.2%"),
     (0.9999999, ">99.999%"), (0.0000001, "<0.001%")],
)  # fmt: skip
def test_percent(value: float, expected: str) -> None:
    assert words.percent(value) == expected


def test_percent_takes_decimals() -> None:
    assert words.percent(0.9667, 1) == "96.7%"


@pytest.mark.parametrize(("classes", "expected"), [(10, "10%"), (40, "2.5%"), (3, "33.3%"), (2, "50%")])
def test_chance(classes: int, expected: str) -> None:
    assert words.chance_label(1 / classes) == expected


def test_percent_range() -> None:
    assert words.percent_range(0.881, 0.995) == "88–99.5%"
    assert words.percent_range(0.93, 0.931) == "93%"


@pytest.mark.parametrize(("value", "expected"), [(-0.041, "−0.04"), (-0.001, "0.00"), (0.314, "0.31"), (1.0, "1.00")])
def test_decimal(value: float, expected: str) -> None:
    assert words.decimal(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(576.0, "576"), (1840.4, "1,840"), (2.5, "2.5"), (0, "0")])
def test_amount(value: float, expected: str) -> None:
    assert words.amount(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.04, "0.0 s"), (8.21, "8.2 s"), (9.97, "10 s"), (119.7, "2 min 00 s"), (412.7, "6 min 53 s")],
)
def test_duration(value: float, expected: str) -> None:
    assert words.duration(value) == expected


@pytest.mark.parametrize(
    ("items", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listed(items: list[str], expected: str) -> None:
    assert words.listed(items) == expected
