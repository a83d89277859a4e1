"""Tensors survive the wire to the last bit, and bytes that are none are refused."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bl_neuro.errors import InputError
from bl_neuro.remote.tensors import DATATYPES, datatype_of, from_bytes, from_json, to_bytes, to_json


@given(st.sampled_from(sorted(DATATYPES)), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 2**32 - 1))
def test_there_and_back(datatype: str, shape: list[int], seed: int) -> None:
    drawn = np.random.default_rng(seed).normal(0, 50, shape)
    values = torch.from_numpy(np.asarray(drawn).astype("?" if datatype == "BOOL" else DATATYPES[datatype]))
    assert datatype_of(values) == datatype
    for back in (
        from_bytes(to_bytes(values), datatype, shape),
        from_json(json.loads(json.dumps(to_json(values))), datatype, shape),
    ):
        assert back.dtype == values.dtype
        assert torch.equal(back, values)


@pytest.mark.parametrize(
    ("values", "datatype", "shape"),
    [
        (b"\x02", "BOOL", [1]),
        (b"\x01\x01", "UINT8", [1]),
        (b"", "FP32", [1]),
        (b"\x01", "FP16", [1]),
        (b"\x01", "UINT8", [-1]),
        (b"", "UINT8", [2**62, 2**62]),
    ],
)
def test_bytes_that_are_none(values: bytes, datatype: str, shape: list[int]) -> None:
    with pytest.raises(InputError):
        from_bytes(values, datatype, shape)


@pytest.mark.parametrize("values", [[1, [2]], ["1"], [None], {}, 256, [1, 2], [0.5], [2**70]])
def test_json_that_is_none(values: Any) -> None:
    with pytest.raises(InputError):
        from_json(values, "UINT8", [1])


BOMBS = [
    pytest.param(["a" * 15_000] + [""] * 15_000, id="a long string, which NumPy pads the others to"),
    pytest.param([[] for _ in range(50_000)], id="lists of nothing"),
    pytest.param([[[]] for _ in range(50_000)], id="lists of lists of nothing"),
    pytest.param([[1, 1] for _ in range(50_000)], id="too many pairs"),
    pytest.param([1] * 50_000, id="too many"),
    pytest.param([{}] * 50_000, id="objects"),
    pytest.param([[0, "a" * 15_000]] * 5_000, id="strings further in"),
]


@pytest.mark.parametrize("values", BOMBS)
@pytest.mark.parametrize("shape", [[24], [2, 1, 12]])
def test_json_is_refused_before_it_takes_memory(values: Any, shape: list[int]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="data: expected"):
            from_json(values, "UINT8", shape)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_lists_may_be_nested_as_deep_as_the_shape_and_no_deeper() -> None:
    flat = list(range(24))
    halves: Any = [flat[:12], flat[12:]]
    for values in (flat, halves, [[half] for half in halves]):
        assert from_json(values, "INT8", [2, 1, 12]).flatten().tolist() == flat
    for values in ([[[[each] for each in half]] for half in halves], [[[half] for half in halves]]):
        with pytest.raises(InputError, match="nested 3 deep at most"):
            from_json(values, "INT8", [2, 1, 12])
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(InputError, match="nested 1 deep at most"):
        from_json(deep, "INT8", [1])


@pytest.mark.parametrize("values", [[2**70, 1], [2**70, 0.5], [10**400, 0.5], [10**400, -1]])
def test_integers_that_nothing_holds(values: Any) -> None:
    for datatype in DATATYPES:
        with pytest.raises(InputError, match="data: expected"):
            from_json(values, datatype, [2])
