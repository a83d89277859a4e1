"""Training on events: targets, evaluators and twins of event data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.data import EventDataset, Split, three_way_split
from bl_neuro.testing.reference_target import ReferenceTarget
from bl_neuro.training import (
    ConvSpec,
    TargetPlan,
    measure_accuracy,
    plan_for,
    train_ann_twin,
    train_evaluator,
    train_target,
)

STEPS = 16


@pytest.fixture(scope="module")
def bars() -> Split[EventDataset]:
    """A bar that moves right, moves left or stands, in sparse noise: of the first two the mean frames are alike."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    frames = rng.random((240, STEPS, 1, 8, 8)) < 0.02
    for sample, label in enumerate(labels):
        row = rng.integers(1, 6)
        for step in range(STEPS):
            column = {0: step % 8, 1: 7 - step % 8, 2: 3}[int(label)]
            frames[sample, step, 0, row : row + 2, column] |= rng.random(2) < 0.8
    return three_way_split(EventDataset.from_frames("bars", "made up", frames, labels, ("right", "left", "still")), 0)


@pytest.fixture(scope="module")
def plan() -> TargetPlan:
    return dataclasses.replace(plan_for("nmnist"), hidden=(32,), steps=STEPS, spiking_epochs=12, shift=0)


@pytest.mark.parametrize("conv", [(), (ConvSpec(6, 3),)], ids=["dense", "conv"])
@pytest.mark.slow
def test_a_target_learns_from_frames(conv: tuple[ConvSpec, ...], plan: TargetPlan, bars: Split[EventDataset]) -> None:
    network = train_target(bars.target, dataclasses.replace(plan, conv=conv))
    accuracy = measure_accuracy(ReferenceTarget(network), bars.test, STEPS, seed=0)
    assert accuracy > 0.6  # a third is chance; standing from moving alone is two thirds of half


def test_shifts_are_part_of_a_training(plan: TargetPlan, bars: Split[EventDataset]) -> None:
    short = dataclasses.replace(plan, spiking_epochs=1)
    assert train_target(bars.target, short) != train_target(bars.target, dataclasses.replace(short, shift=1))


def test_refuses_a_proxy_of_events(bars: Split[EventDataset]) -> None:
    with pytest.raises(InputError, match="proxy_epochs: expected 0"):
        train_target(bars.target, TargetPlan(proxy_epochs=1))


@pytest.mark.parametrize("kind", ["conv", "spiking"])
def test_evaluators_see_the_frames(kind: str, bars: Split[EventDataset]) -> None:
    evaluator = train_evaluator(bars.evaluator, kind=kind, epochs=15)
    assert evaluator.accuracy(bars.test) > 0.55
    frames = np.moveaxis(bars.test.frames_at(slice(5)), 1, 0)
    assert evaluator.probabilities(frames).shape == (5, 3)


def test_a_twin_learns_the_mean_frames(bars: Split[EventDataset]) -> None:
    twin = train_ann_twin(bars.target, (16,), epochs=40, rate=1e-2)
    assert twin.accuracy(bars.test) > 0.55
