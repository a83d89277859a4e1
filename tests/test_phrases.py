"""Counts and lists in English."""

from __future__ import annotations

import pytest

from bl_neuro.phrases import are, listed, many


@pytest.mark.parametrize(
    ("items", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listed(items: list[str], expected: str) -> None:
    assert listed(items) == expected


def test_counts() -> None:
    assert [many(count, "pair") for count in (0, 1, 2000)] == ["0 pairs", "1 pair", "2,000 pairs"]
    assert many(2, "query", "queries") == "2 queries"
    assert [are(count) for count in (1, 2)] == ["1 is", "2 are"]
