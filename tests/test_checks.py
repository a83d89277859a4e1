"""Checks of whole numbers of any numeric type, and problems in words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bl_neuro.checks import expectation, problem_text, whole_number


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


class Values(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    count: Annotated[int, Field(ge=1, lt=9)] = 1
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    kind: Literal["one", "two"] = "one"
    pair: Annotated[list[int], Field(min_length=2, max_length=2)] = [0, 0]
    table: dict[str, int] = {}
    switch: bool = True
    text: Annotated[str, Field(min_length=2, max_length=3)] = "ab"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "expected a whole number of at least 1, found 0"),
        ({"count": 9}, "expected a whole number below 9, found 9"),
        ({"count": 1.5}, "expected a whole number, found 1.5"),
        ({"share": 0.0}, "expected a number above 0, found 0.0"),
        ({"share": 2.0}, "expected a number of at most 1, found 2.0"),
        ({"share": "all"}, "expected a number, found 'all'"),
        ({"kind": "three"}, "expected 'one' or 'two', found 'three'"),
        ({"pair": [1]}, "expected a list of 2 or more values, found [1]"),
        ({"pair": [1, 2, 3]}, "expected a list of 2 or fewer values, found [1, 2, 3]"),
        ({"pair": 1}, "expected a list, found 1"),
        ({"table": []}, "expected a table, found []"),
        ({"switch": 1}, "expected true or false, found 1"),
        ({"text": "a"}, "expected a text of at least 2 characters, found 'a'"),
        ({"text": 3}, "expected a text, found 3"),
        ({"text": "a" * 100}, "expected a text of at most 3 characters, found '" + "a" * 79 + "..."),
        ({"other": 1}, "unknown name"),
    ],
)
def test_problems_are_told_in_words_with_the_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Values(**values)
    (problem,) = caught.value.errors()
    assert problem_text(problem) == message
    assert expectation(problem) == message.partition(", found")[0]
