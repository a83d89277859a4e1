"""An attack through an endpoint, in another process, finds to the last bit what it finds at home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import bl_neuro as bl
from bl_neuro.attacks import BrainLeaksV2, Inversions
from bl_neuro.testing.reference_target import easy_images
from bl_neuro.training import TargetPlan


@pytest.fixture(scope="module")
def digits() -> bl.Network:
    plan = TargetPlan(hidden=(16,), steps=6, proxy_epochs=2, spiking_epochs=1)
    return bl.training.train_target(bl.data.load_digits(), plan)


def invert(box: Any, queries: int, classes: list[int]) -> Inversions:
    return BrainLeaksV2(queries=queries, warm_start=20)(box, classes=classes, steps=6, seed=3)


def same(one: Inversions, other: Inversions) -> bool:
    return (
        torch.equal(one.spikes, other.spikes)
        and torch.equal(one.rates, other.rates)
        and one.queries == other.queries
        and one.status == other.status
    )


def test_served_from_loihi(digits: bl.Network, start: Any) -> None:
    server = start(digits, "--backend", "loihi")
    with bl.open_target(digits, "loihi") as target:
        here = bl.BlackBox(target)
        at_home = invert(here, 120, list(range(10)))
    with server.box() as box:
        found = invert(box, 120, list(range(10)))
        assert box.spent == here.spent > 1000
    assert same(found, at_home)


@pytest.mark.slow
@pytest.mark.lava
def test_served_from_lava(digits: bl.Network, start: Any, needs: Callable[[str], None]) -> None:
    needs("lava")
    server = start(digits, "--backend", "lava", "--deadline", "120")
    with bl.open_target(digits, "lava", runtimes=1) as target:
        at_home = invert(bl.BlackBox(target), 20, [0, 7])
    with server.box(patience_s=120.0, timeout_s=120.0) as box:
        assert same(invert(box, 20, [0, 7]), at_home)


@pytest.mark.parametrize("reveals", ["membrane", "scores", "spikes", "counts", "label"])
def test_exactly_what_is_revealed_leaves(reveals: Any, start: Any) -> None:
    network = easy_images()
    server = start(network, "--reveals", reveals)
    spikes = torch.rand(5, 4, *network.input_shape, generator=torch.Generator().manual_seed(1)) < 0.5
    with bl.open_target(network, "loihi") as target:
        expected = bl.BlackBox(target, reveals).query(spikes)
    with server.box() as box:
        assert box.reveals == reveals
        found = box.query(spikes)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
