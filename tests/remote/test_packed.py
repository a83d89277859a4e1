"""Spikes as bits come back to the last bit, a held frame stays one in memory, and bits that are none are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bl_neuro.backends.base import is_held
from bl_neuro.errors import InputError
from bl_neuro.remote.packed import PACKINGS, pack, packing_of, unpack

SHAPES = st.lists(st.integers(1, 5), min_size=3, max_size=5)


def drawn(shape: list[int], seed: int) -> Tensor:
    return torch.randint(0, 2, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def held(shape: list[int], seed: int) -> Tensor:
    return drawn([1, *shape[1:]], seed).expand(shape)


@given(SHAPES, st.integers(0, 2**32 - 1))
def test_bits_there_and_back(shape: list[int], seed: int) -> None:
    spikes = torch.cat([drawn(shape, seed), drawn(shape, seed + 1)])
    values, whole = pack(spikes), list(spikes.shape)
    assert packing_of(spikes) == "bits"
    assert len(values) == math.ceil(spikes.numel() / 8)
    back = unpack(values, "bits", whole)
    assert back.dtype == torch.uint8
    assert torch.equal(back, spikes)


@given(SHAPES, st.integers(2, 1000), st.integers(0, 2**32 - 1))
def test_a_held_frame_there_and_back(shape: list[int], steps: int, seed: int) -> None:
    spikes = held([steps, *shape[1:]], seed)
    values = pack(spikes)
    assert packing_of(spikes) == "held"
    assert len(values) == math.ceil(spikes[0].numel() / 8)
    back = unpack(memoryview(values), "held", list(spikes.shape))
    assert is_held(back)
    assert back.untyped_storage().nbytes() == spikes[0].numel()
    assert torch.equal(back, spikes)


def test_steps_cost_nothing_where_a_frame_is_held() -> None:
    back = unpack(b"\x05", "held", [2**40, 1, 3])
    assert back.untyped_storage().nbytes() == 3
    assert back[2**40 - 1].tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("spikes", [drawn([3, 4, 5], 0).transpose(0, 1), drawn([3, 4, 10], 1)[..., ::2]])
def test_whatever_the_strides(spikes: Tensor) -> None:
    assert torch.equal(unpack(pack(spikes), packing_of(spikes), list(spikes.shape)), spikes)


def test_the_order_is_the_one_that_is_written_down() -> None:
    """Row-major, the lowest bit first."""
    spikes = torch.zeros(2, 1, 5, dtype=torch.uint8)
    spikes[0, 0, 1] = spikes[1, 0, 0] = spikes[1, 0, 4] = 1
    assert pack(spikes) == bytes([0b00100010, 0b00000010])


@pytest.mark.parametrize(
    ("values", "packing", "shape", "said"),
    [
        (b"\x00", "Bits", [1, 1, 8], "packed: expected one of bits, held, found 'Bits'"),
        (b"\x00", None, [1, 1, 8], "found 'None'"),
        (b"\x00", ["bits"], [1, 1, 8], "packed: expected one of"),
        (b"\x00", {"a": "b" * 99}, [1, 1, 8], "packed: expected one of bits, held, found .{1,24}$"),
        (b"", "bits", [1, 1, 8], "expected 1 bytes for 8 spikes, found 0"),
        (b"\x00\x00", "bits", [1, 1, 8], "expected 1 bytes for 8 spikes, found 2"),
        (b"\x00", "bits", [1, 1, 9], "expected 2 bytes for 9 spikes, found 1"),
        (b"\x00" * 3, "held", [3, 1, 8], "expected 1 bytes for 8 spikes, found 3"),
        (b"\x00", "bits", [2**62, 2**62, 2**62], "spikes, found 1"),
        (b"\x00\x02", "bits", [1, 1, 9], "expected 0 in the bits that are left over"),
        (b"\x08", "held", [9, 1, 3], "expected 0 in the bits that are left over"),
    ],
)
def test_bits_that_are_none(values: bytes, packing: Any, shape: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        unpack(values, packing, shape)


@pytest.mark.parametrize("packing", PACKINGS)
def test_one_set_of_spikes_has_one_set_of_bits(packing: str) -> None:
    """Else a key could be used twice for what is one query."""
    accepted = []
    for value in range(256):
        try:
            unpack(bytes([value]), packing, [1, 1, 5])
            accepted.append(value)
        except InputError:
            pass
    assert accepted == list(range(32))
