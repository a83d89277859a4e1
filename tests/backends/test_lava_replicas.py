"""How many samples a Lava simulation processes at once. Nothing here starts Lava."""

from __future__ import annotations

import pytest

from bl_neuro.backends.lava import replicas
from bl_neuro.backends.lava.replicas import MAX_REPLICAS, ROUNDS_PER_START, Replicas, can_replicate
from bl_neuro.deploy.quantize import FixedPointNetwork, quantize
from bl_neuro.testing.random_networks import random_conv, random_dense

STEPS = 20


@pytest.fixture(scope="module")
def dense() -> FixedPointNetwork:
    return quantize(random_dense(2))


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (2, 2), (3, 4), (20, 32), (704, MAX_REPLICAS)])
def test_the_first_batch_chooses(dense: FixedPointNetwork, batch: int, count: int) -> None:
    chosen = Replicas(dense, None, runtimes=1)
    assert chosen.choose(STEPS, batch) == count
    assert chosen.count == count


def test_a_simulation_is_replaced_after_enough_rounds_that_it_does_not_fit(dense: FixedPointNetwork) -> None:
    chosen = Replicas(dense, None, runtimes=1)
    assert chosen.choose(STEPS, 1) == 1
    assert chosen.choose(STEPS, ROUNDS_PER_START // 2) == 1, "these rounds take less time than another start"
    assert chosen.choose(STEPS, ROUNDS_PER_START // 2) == MAX_REPLICAS
    assert {chosen.choose(STEPS, 1) for _ in range(ROUNDS_PER_START // 2)} == {MAX_REPLICAS}
    assert chosen.choose(STEPS, 16) == MAX_REPLICAS, "a batch that fits starts the count anew"
    counts = [chosen.choose(STEPS, 1) for _ in range(2 * ROUNDS_PER_START)]
    assert counts[ROUNDS_PER_START // 2] == MAX_REPLICAS
    assert counts[-1] == 1


def test_shared_memory_limits_the_number(dense: FixedPointNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for free in (None, 2**26, 2**19, 2**18, 1024):
        monkeypatch.setattr(replicas, "shared_memory_free", lambda free=free: free)
        counts.append(Replicas(dense, None, runtimes=2).choose(STEPS, 100))
    assert counts[:2] == [MAX_REPLICAS, MAX_REPLICAS]
    assert 1 < counts[3] == counts[2] // 2
    assert counts[4] == 1


def test_more_time_steps_than_fit_reduce_the_number_at_once(
    dense: FixedPointNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "shared_memory_free", lambda: 2**20)
    chosen = Replicas(dense, None, runtimes=1)
    few_steps = chosen.choose(STEPS, 100)
    assert chosen.choose(20 * STEPS, 100) < few_steps


def test_only_dense_networks_process_several_samples(dense: FixedPointNetwork) -> None:
    convolutional = quantize(random_conv(2))
    assert can_replicate(dense)
    assert not can_replicate(convolutional)
    assert Replicas(convolutional, None, runtimes=1).choose(STEPS, 100) == 1


def test_a_requested_number_stays(dense: FixedPointNetwork) -> None:
    chosen = Replicas(dense, 5, runtimes=1)
    assert [chosen.choose(STEPS, batch) for batch in (1, 1000)] == [5, 5]
    assert chosen.starts_worthwhile(10 * ROUNDS_PER_START) == 10
