"""The authors' v2: its update step by step, against the update written out once more for one class."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from bl_neuro import BlackBox, InputError, WhiteBox
from bl_neuro.attacks import BrainLeaksV2Gradient, Inversions
from bl_neuro.attacks.gradient_search import ClassStreams
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

STEPS = 6
PLANS = {
    "mnist": BrainLeaksV2Gradient(),
    "nmnist": BrainLeaksV2Gradient.for_nmnist(),
    "gestures": BrainLeaksV2Gradient.for_gestures(),
}


def inverted(plan: BrainLeaksV2Gradient, classes: list[int], seed: int = 0, steps: int = STEPS) -> Inversions:
    return plan(WhiteBox(ReferenceTarget(easy_network())), classes=classes, steps=steps, seed=seed)


def written_out(plan: BrainLeaksV2Gradient, label: int, seed: int) -> Tensor:
    """P (T, inputs) after the authors' loop: one class, one sample at a time, through autograd."""
    target = ReferenceTarget(easy_network())
    chance = ClassStreams(seed, "attack v2 gradient", [label])
    chances = torch.zeros(STEPS, 12, dtype=torch.float64)
    squares, velocity = torch.zeros_like(chances), torch.zeros_like(chances)
    for iteration in range(plan.iterations):
        gradients, costs = [], []
        for _ in range(plan.samples if iteration else 1):  # at first all are silent
            sample = (chance.uniform(STEPS, 12)[0] < chances).double()[:, None].requires_grad_()
            membrane = target.run(sample).membrane
            assert membrane is not None
            if plan.cost == "score":
                cost = 1 - torch.softmax(membrane[:, 0], 1).mean(0)[label]
            else:
                cost = -torch.log_softmax(membrane[:, 0], 1).mean(0)[label]
            cost = cost + plan.sparsity * sample.sum() / sample.numel()
            gradients.append(torch.autograd.grad(cost, sample)[0][:, 0])
            costs.append(cost.detach())
        total = sum((g * c for g, c in zip(gradients, costs)), torch.zeros_like(chances)) / sum(costs)
        kept = plan.smoothing * squares + (1 - plan.smoothing) * total**2
        squares = squares + kept if plan.hoarding else kept
        velocity = plan.momentum * velocity + total
        chances = (chances - plan.learning_rate / (squares.sqrt() + plan.epsilon) * velocity).clamp(min=0)
        if chances.max() > 1:
            chances = chances / chances.max()
    return chances


@pytest.mark.parametrize("name", PLANS)
def test_is_the_authors_loop(name: str) -> None:
    plan = PLANS[name]
    rates = inverted(plan, [2, 0], seed=5).rates
    assert rates is not None
    assert rates.shape == (STEPS, 2, 12)
    for column, label in enumerate([2, 0]):
        torch.testing.assert_close(rates[:, column].double(), written_out(plan, label, 5), rtol=1e-4, atol=1e-6)


def test_the_authors_settings() -> None:
    rows = {name: (p.samples, p.learning_rate, p.smoothing, p.sparsity, p.cost) for name, p in PLANS.items()}
    assert rows == {
        "mnist": (7, 1.0, 0.1, 0.01, "score"),
        "nmnist": (5, 1e-3, 0.3, 0.3, "log_score"),
        "gestures": (5, 0.1, 0.2, 0.1, "log_score"),
    }
    assert {p.momentum for p in PLANS.values()} == {0.9}
    assert {p.iterations for p in PLANS.values()} == {10}
    assert BrainLeaksV2Gradient.for_nmnist(blur=1.0, samples=2) == dataclasses.replace(
        PLANS["nmnist"], blur=1.0, samples=2
    )


def test_finds_its_class() -> None:
    target = ReferenceTarget(easy_network())
    inversions = BrainLeaksV2Gradient()(WhiteBox(target), classes=[2, 0, 1], steps=10, seed=1)
    assert BlackBox(target, "label").query(inversions.spikes).tolist() == [2, 0, 1]
    assert inversions.rates is not None
    assert float((inversions.spikes.float() - inversions.rates).abs().mean()) < 0.4


def test_queries_are_one_of_silence_its_samples_and_one_for_the_result() -> None:
    assert inverted(BrainLeaksV2Gradient(iterations=3, samples=4), [0, 1]).queries == 2 * (1 + 2 * 4 + 1)


def test_traces_minus_the_mean_cost_from_silence_on() -> None:
    inversions = inverted(BrainLeaksV2Gradient(iterations=2, samples=3), [0, 1])
    assert inversions.trace.queries.tolist() == [2, 8, 10]
    assert not inversions.trace.rates[0].any()
    # silence: every membrane is 0, so that J is one in three
    torch.testing.assert_close(inversions.trace.objective[0], torch.full((2,), 1 / 3 - 1))
    assert bool((inversions.trace.objective[-1] > inversions.trace.objective[0]).all())
    assert inversions.rates is not None
    torch.testing.assert_close(inversions.trace.rates[-1], inversions.rates.mean(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations: expected a whole number"),
        ({"samples": 1.5}, "samples: expected a whole number"),
        ({"learning_rate": 0.0}, "learning_rate: expected above 0"),
        ({"smoothing": 1.0}, "smoothing: expected 0 or more, below 1"),
        ({"momentum": -0.1}, "momentum: expected 0 or more, below 1"),
        ({"sparsity": -1.0}, "sparsity: expected at least 0"),
        ({"cost": "loss"}, "cost: expected one of score, log_score"),
        ({"epsilon": 0.0}, "epsilon: expected above 0"),
        ({"blur": float("nan")}, "blur: expected at least 0"),
        ({"window": 0.0}, "window: expected above 0"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BrainLeaksV2Gradient(**changes)


def test_reports_every_invalid_setting_at_once() -> None:
    with pytest.raises(InputError, match=r"blur.*samples.*epsilon"):
        BrainLeaksV2Gradient(blur=-1.0, samples=0, epsilon=-1.0)
