"""An attacker holds the last result until the next."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.leakage import held_at


def test_the_latest_so_far() -> None:
    queries, values = [10, 20, 20, 50], [0.1, 0.2, 0.3, 0.9]
    assert held_at(queries, values, [10, 19.5, 20, 49, 50, 900]).tolist() == [0.1, 0.1, 0.3, 0.3, 0.9, 0.9]


def test_rows_are_held_whole() -> None:
    values = np.arange(6.0).reshape(3, 2)
    assert held_at([1, 2, 3], values, [2.5, 1]).tolist() == [[2.0, 3.0], [0.0, 1.0]]
    assert held_at([1, 2, 3], values, []).shape == (0, 2)


@pytest.mark.parametrize(
    ("queries", "values", "grid", "said"),
    [
        ([10, 20], [1, 2], [5, 10], "grid: expected at least 10 queries"),
        ([20, 10], [1, 2], [20], "queries: expected"),
        ([], [], [1], "queries: expected"),
        ([10, 20], [1], [20], "values: expected 2"),
        ([10, 20], [1, 2], [[20]], "values: expected 2"),
        ([10, 20], 3.0, [20], "values: expected 2"),
        ([10, 20], [1, np.nan], [20], "values: expected numbers"),
    ],
)
def test_refuses(queries: list[float], values: list[float], grid: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        held_at(queries, values, grid)
