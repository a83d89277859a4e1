"""Keys of a session follow from what is asked, and from nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from bl_neuro.remote.keys import Keys

SPIKES = (torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.5).byte()
HELD = SPIKES[:1].expand(5, 4, 6)


def keys(session: str | None = "cell") -> Callable[[Tensor], str]:
    made = Keys(session)
    return lambda values: made.of(values, "UINT8")


def test_the_order_does_not_matter() -> None:
    first, again = keys(), keys()
    forwards = [first(each) for each in (SPIKES, HELD, SPIKES[:, :2])]
    backwards = [again(each) for each in (SPIKES[:, :2], HELD, SPIKES)]
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
    found = [
        made.of(SPIKES, "UINT8"),
        made.of(SPIKES, "BOOL"),
        made.of(SPIKES.reshape(4, 5, 6), "UINT8"),
        made.of(1 - SPIKES, "UINT8"),
        keys("c")(SPIKES),
        keys("x" * 99 + "a")(SPIKES),
        keys("x" * 99 + "b")(SPIKES),
    ]
    assert len(set(found)) == len(found)
    assert all(len(key) <= 110 and key.isascii() and key.isprintable() for key in found)


def test_without_a_session_no_key_comes_twice() -> None:
    key = keys(None)
    assert len({key(SPIKES) for _ in range(50)}) == 50


def test_threads_share_a_session() -> None:
    """Each gets a key of its own, and together they are those of one thread."""
    shared, alone = keys(), keys()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shared, itertools.repeat(SPIKES, 200)))
    assert sorted(found) == sorted(alone(SPIKES) for _ in range(200))
