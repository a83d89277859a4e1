"""Tensors survive transport bit by bit, and invalid bytes are refused."""

from __future__ import annotations

import itertools
import json
import math
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bl_neuro.backends.inputs import is_held
from bl_neuro.errors import InputError
from bl_neuro.remote.tensors import (
    DATATYPES,
    PACKINGS,
    Keys,
    datatype_of,
    from_bytes,
    from_json,
    pack,
    packing_of,
    to_bytes,
    to_json,
    unpack,
)


@given(st.sampled_from(sorted(DATATYPES)), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 2**32 - 1))
def test_tensors_survive_a_round_trip(datatype: str, shape: list[int], seed: int) -> None:
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
def test_invalid_bytes_are_refused(values: bytes, datatype: str, shape: list[int]) -> None:
    with pytest.raises(InputError):
        from_bytes(values, datatype, shape)


@pytest.mark.parametrize("values", [[1, [2]], ["1"], [None], {}, 256, [1, 2], [0.5], [2**70]])
def test_invalid_json_is_refused(values: Any) -> None:
    with pytest.raises(InputError):
        from_json(values, "UINT8", [1])


BOMBS = [
    pytest.param(lambda: ["a" * 15_000] + [""] * 15_000, id="a long string, which NumPy pads the others to"),
    pytest.param(lambda: [[] for _ in range(50_000)], id="lists of nothing"),
    pytest.param(lambda: [[[]] for _ in range(50_000)], id="lists of lists of nothing"),
    pytest.param(lambda: [[1, 1] for _ in range(50_000)], id="too many pairs"),
    pytest.param(lambda: [1] * 50_000, id="too many"),
    pytest.param(lambda: [{}] * 50_000, id="objects"),
    pytest.param(lambda: [[0, "a" * 15_000]] * 5_000, id="strings further in"),
]


@pytest.mark.parametrize("made", BOMBS)
@pytest.mark.parametrize("shape", [[24], [2, 1, 12]])
def test_json_is_refused_before_it_takes_memory(made: Callable[[], list[Any]], shape: list[int]) -> None:
    values = made()
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
    for values in ([[[[value] for value in half]] for half in halves], [[[half] for half in halves]]):
        with pytest.raises(InputError, match="at most 3 levels of nested lists"):
            from_json(values, "INT8", [2, 1, 12])
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(InputError, match="at most 1 levels of nested lists"):
        from_json(deep, "INT8", [1])


@pytest.mark.parametrize("values", [[2**70, 1], [2**70, 0.5], [10**400, 0.5], [10**400, -1]])
def test_integers_out_of_range_are_refused(values: Any) -> None:
    for datatype in DATATYPES:
        with pytest.raises(InputError, match="data: expected"):
            from_json(values, datatype, [2])


SHAPES = st.lists(st.integers(1, 5), min_size=3, max_size=5)


def drawn(shape: list[int], seed: int) -> Tensor:
    return torch.randint(0, 2, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def held(shape: list[int], seed: int) -> Tensor:
    return drawn([1, *shape[1:]], seed).expand(shape)


@given(SHAPES, st.integers(0, 2**32 - 1))
def test_packed_bits_survive_a_round_trip(shape: list[int], seed: int) -> None:
    spikes = torch.cat([drawn(shape, seed), drawn(shape, seed + 1)])
    values, whole = pack(spikes), list(spikes.shape)
    assert packing_of(spikes) == "bits"
    assert len(values) == math.ceil(spikes.numel() / 8)
    back = unpack(values, "bits", whole)
    assert back.dtype == torch.uint8
    assert torch.equal(back, spikes)


@given(SHAPES, st.integers(2, 1000), st.integers(0, 2**32 - 1))
def test_a_held_frame_survives_a_round_trip(shape: list[int], steps: int, seed: int) -> None:
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
def test_strides_do_not_matter(spikes: Tensor) -> None:
    assert torch.equal(unpack(pack(spikes), packing_of(spikes), list(spikes.shape)), spikes)


def test_the_order_is_the_one_that_is_written_down() -> None:
    """Row-major, the lowest bit first."""
    spikes = torch.zeros(2, 1, 5, dtype=torch.uint8)
    spikes[0, 0, 1] = spikes[1, 0, 0] = spikes[1, 0, 4] = 1
    assert pack(spikes) == bytes([0b00100010, 0b00000010])


@pytest.mark.parametrize(
    ("values", "packing", "shape", "message"),
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
        (b"\x00\x02", "bits", [1, 1, 9], "expected padding bits of 0"),
        (b"\x08", "held", [9, 1, 3], "expected padding bits of 0"),
    ],
)
def test_invalid_bits_are_refused(values: bytes, packing: Any, shape: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        unpack(values, packing, shape)


@pytest.mark.parametrize("packing", PACKINGS)
def test_one_set_of_spikes_has_one_set_of_bits(packing: str) -> None:
    """Otherwise one query could have two keys."""
    accepted = []
    for value in range(256):
        try:
            unpack(bytes([value]), packing, [1, 1, 5])
            accepted.append(value)
        except InputError:
            pass
    assert accepted == list(range(32))


SPIKES = (torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.5).byte()
HELD = SPIKES[:1].expand(5, 4, 6)


def keys(session: str | None = "cell") -> Callable[[Tensor], str]:
    made = Keys(session)
    return lambda values: made.of(values, "UINT8")


def test_the_order_does_not_matter() -> None:
    first, again = keys(), keys()
    forwards = [first(spikes) for spikes in (SPIKES, HELD, SPIKES[:, :2])]
    backwards = [again(spikes) for spikes in (SPIKES[:, :2], HELD, SPIKES)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 3


def test_the_memory_s_layout_does_not_matter() -> None:
    assert keys()(HELD) == keys()(HELD.contiguous())
    turned = SPIKES.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert keys()(turned) == keys()(SPIKES)


def test_asking_twice_is_two_queries() -> None:
    first, again = keys(), keys()
    asked = [first(SPIKES), first(HELD), first(SPIKES)]
    assert len(set(asked)) == 3
    assert [again(SPIKES), again(SPIKES)] == [asked[0], asked[2]]


def test_values_shape_datatype_and_session_matter() -> None:
    made = Keys("cell")
    made_keys = [
        made.of(SPIKES, "UINT8"),
        made.of(SPIKES, "BOOL"),
        made.of(SPIKES.reshape(4, 5, 6), "UINT8"),
        made.of(1 - SPIKES, "UINT8"),
        keys("c")(SPIKES),
        keys("x" * 99 + "a")(SPIKES),
        keys("x" * 99 + "b")(SPIKES),
    ]
    assert len(set(made_keys)) == len(made_keys)
    assert all(len(key) <= 110 and key.isascii() and key.isprintable() for key in made_keys)


def test_without_a_session_no_key_comes_twice() -> None:
    key = keys(None)
    assert len({key(SPIKES) for _ in range(50)}) == 50


def test_threads_share_a_session() -> None:
    """Each gets a key of its own, and together they are those of one thread."""
    shared, alone = keys(), keys()
    with ThreadPoolExecutor(8) as pool:
        shared_keys = list(pool.map(shared, itertools.repeat(SPIKES, 200)))
    assert sorted(shared_keys) == sorted(alone(SPIKES) for _ in range(200))
