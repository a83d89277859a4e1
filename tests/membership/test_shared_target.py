"""One simulation answers the boxes of all outputs, each of which meters its own queries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bl_neuro as bl
from bl_neuro.errors import BudgetExceeded, TargetClosed
from bl_neuro.membership.asks import Ask, ask_about, ask_boxes
from bl_neuro.membership.shared_target import SharedTarget
from bl_neuro.reveals import REVEALS
from bl_neuro.testing.reference_target import ReferenceTarget
from tests.membership.test_asks import NETWORK, samples

RNG = np.random.default_rng(5)
SPIKES = torch.from_numpy((RNG.random((6, 3, 4)) < 0.5).astype(np.uint8))


def test_all_outputs_need_one_simulation_and_answer_as_alone() -> None:
    target, data, ask = ReferenceTarget(NETWORK), samples(270), Ask("dropout", 2, 0.3)
    shared = SharedTarget(target)
    boxes = [bl.BlackBox(shared, reveals, 540) for reveals in REVEALS]
    together = ask_boxes(boxes, data, ask, 5, seed=2)
    assert target.samples == 540
    assert [box.remaining for box in boxes] == [0] * len(REVEALS)
    for reveals, answers in zip(REVEALS, together):
        alone = ask_about(bl.BlackBox(ReferenceTarget(NETWORK), reveals), data, ask, 5, seed=2)
        for one, other in zip(answers, alone):
            np.testing.assert_array_equal(one, other, strict=True)
    with pytest.raises(BudgetExceeded):
        boxes[0].query(SPIKES)


def test_some_samples_keep_the_inputs_that_they_have_among_all() -> None:
    data, only = samples(270), np.array([269, 3, 258])
    every = ask_about(bl.BlackBox(ReferenceTarget(NETWORK), "membrane"), data, Ask(count=2), 5, seed=2)
    box = bl.BlackBox(ReferenceTarget(NETWORK), "membrane", 6)
    (some,) = ask_boxes([box], data, Ask(count=2), 5, seed=2, only=only)
    assert box.remaining == 0
    np.testing.assert_array_equal(some.statistics, every.statistics[[3, 258, 269]])
    np.testing.assert_array_equal(some.right, every.right[[3, 258, 269]])


def test_other_inputs_are_simulated() -> None:
    target = ReferenceTarget(NETWORK)
    shared, spikes = SharedTarget(target), SPIKES.clone()
    first = shared.run(spikes)
    assert shared.run(SPIKES) is first
    spikes[:] = 1 - spikes  # the caller may change its input
    assert not torch.equal(shared.run(spikes).spikes, first.spikes)
    assert target.samples == 6
    held = torch.ones(1, 3, 4).expand(6, 3, 4)
    assert torch.equal(shared.run(held).spikes, shared.run(held.contiguous()).spikes)
    assert target.samples == 9
    assert len(shared.run(SPIKES, layers=True).layers or []) == 1
    shared.close()
    with pytest.raises(TargetClosed):
        shared.run(SPIKES)
