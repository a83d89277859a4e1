"""Tensors survive the wire to the last bit, and bytes that are none are refused."""

from __future__ import annotations

import json
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
