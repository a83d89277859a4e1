"""GAMIN: what it queries, how answers train the surrogate, and the balance of the two networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bl_neuro import BlackBox, InputError
from bl_neuro.access import Reveals
from bl_neuro.attacks import Gamin, Status
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.gamin import _blur, _Run, distributions
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.rate_oracle import RateOracle
from bl_neuro.seeding import stream
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyTarget, easy_images, easy_network

STEPS = 6


def started(reveals: Reveals = "counts", **settings: Any) -> _Run:
    """A run on easy images before its first round."""
    box = BlackBox(ReferenceTarget(easy_images()), reveals)
    return _Run(Gamin(**{"hidden": 8, **settings}), RateOracle(box, [0, 1, 2], STEPS, stream(0, "test")), 0)


def test_answers_become_distributions_over_classes() -> None:
    counts = torch.tensor([[4.0, 0.0, 2.0]])
    expected = torch.softmax(counts / 2, dim=1)
    assert torch.allclose(distributions(evidence(counts, "counts", 3), False), expected)
    scores = torch.tensor([[0.5, 0.3, 0.2]])
    assert torch.allclose(distributions(evidence(scores, "scores", 3), False), scores)
    assert distributions(evidence(torch.tensor([2]), "label", 3), True).tolist() == [[0.0, 0.0, 1.0]]


def test_its_blur_is_that_of_the_image_prior() -> None:
    image = np.random.default_rng(0).random((1, 1, 5, 7))
    down, across = _blur(5, 1.2).double(), _blur(7, 1.2).double()
    blurred = down @ torch.from_numpy(image) @ across
    assert np.allclose(blurred.numpy(), ImagePrior((1, 5, 7), 1.2, None, None).shape(image), atol=1e-6)
    assert torch.equal(_blur(4, 0.0), torch.eye(4))


@pytest.mark.parametrize(("noise", "random"), [(0.5, 2), (0.0, 0), (0.9, 3)])
def test_each_round_queries_generated_and_random_images(noise: float, random: int) -> None:
    run = started(noise=noise, batch=4, updates=1)
    run.round(4)
    binary = ((run.images == 0) | (run.images == 1)).flatten(1).all(1)
    assert binary.tolist() == [False] * 3 * (4 - random) + [True] * 3 * random
    assert run.course.spent == len(run.answers) == 12
    assert torch.allclose(run.answers.sum(1), torch.ones(12))


def test_the_weight_of_the_adversarial_term_follows_the_balance() -> None:
    run = started(balance=0.5, balance_rate=0.1, learning_rate=1e-9)
    run.round(2)
    before, run.weight = run.weight, 0.3
    made = run.generators.images(run.latents(16)).detach()
    faithful = torch.nn.functional.cross_entropy(run.surrogate.logits(run.images), run.answers).item()
    fooled = run.fooled(made).item()
    run.rng = np.random.default_rng(0)
    run.update()
    assert 0 <= before <= 1
    # the images of the update are others of the same generators, and their batch others of the same answers
    assert run.weight - 0.3 == pytest.approx(0.1 * (0.5 * faithful - fooled), abs=0.02)
    run.weight, run.plan = 0.0, Gamin(balance=0.0, balance_rate=1.0, hidden=8)
    run.update()
    assert run.weight == 0.0


@pytest.mark.parametrize("reveals", ["scores", "counts", "label"])
def test_finds_what_the_target_accepts(reveals: Reveals) -> None:
    plan = Gamin(queries=64, blur=0.0, latent=4, hidden=16, updates=20, learning_rate=1e-2)
    inversions = plan(BlackBox(ReferenceTarget(easy_images()), reveals), classes=[2, 0, 1], steps=STEPS)
    assert inversions.queries == 192
    assert inversions.rates is not None
    assert inversions.rates.mean(3)[:, 0].argmax(1).tolist() == [2, 0, 1]  # row c excites class c


def test_images_become_spikes_by_a_rate_code() -> None:
    asked: list[Tensor] = []

    class Recorded(BlackBox):
        __slots__ = ()

        def query(self, spikes: Any) -> Tensor:
            asked.append(torch.as_tensor(spikes))
            return super().query(spikes)

    oracle = RateOracle(Recorded(SpikesOnlyTarget(easy_network())), [0], 400, stream(0, "test"))
    images = np.linspace(0, 1, 24).reshape(2, 12)
    oracle.evidence(images)
    (spikes,) = asked
    assert spikes.shape == (400, 2, 12)
    assert np.allclose(spikes.float().mean(0).numpy(), images, atol=0.1)
    assert not torch.equal(spikes[0], spikes[1])


def test_splits_the_budget_between_classes() -> None:
    plan = Gamin().within(100, 3)
    assert (plan.queries, plan.planned_queries(3)) == (33, 99)
    box = BlackBox(SpikesOnlyTarget(easy_network()), budget=20)
    inversions = Gamin(queries=8, batch=4, updates=1)(box, classes=[0, 1, 2], steps=STEPS)
    assert (inversions.queries, inversions.status) == (18, Status.BUDGET_SPENT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": 0}, "queries: expected a whole number of at least 1"),
        ({"noise": 1.0}, "noise: expected at least 0 and below 1"),
        ({"learning_rate": 0.0}, "learning_rate: expected above 0"),
        ({"balance": -1.0}, "balance: expected at least 0"),
        ({"base_rate": 1.0}, "base_rate: expected between 0 and 1"),
        ({"blur": -1.0}, "blur: expected at least 0"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Gamin(**changes)
