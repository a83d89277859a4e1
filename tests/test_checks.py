"""Checks of whole numbers of any numeric type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro.checks import whole_number


@pytest.mark.parametrize(
    "value",
    [3, 3.0, np.int64(3), np.uint8(3), np.float32(3), np.array(3), np.array([3]), torch.tensor(3), torch.tensor([3.0])],
)
def test_takes(value: Any) -> None:
    number = whole_number(value)
    assert number == 3
    assert type(number) is int


def test_takes_large_and_negative_ones() -> None:
    assert whole_number(10**400) == 10**400
    assert whole_number(-5) == -5
    assert whole_number(0) == 0


@pytest.mark.parametrize(
    "value",
    [
        *(2.5, float("nan"), float("inf"), True, False, np.True_, torch.tensor(True), np.float64(0.1)),
        *(
            "3",
            b"3",
            None,
            [3],
            (3,),
            {3},
            {"a": 3},
            3j,
            object(),
            np.array([1, 2]),
            torch.tensor([1, 2]),
            np.array([]),
        ),
    ],
)
def test_refuses(value: Any) -> None:
    assert whole_number(value) is None
