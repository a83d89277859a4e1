"""Priors on gradients: their effect, and that the gradient attacks apply them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bl_neuro import CubaLIF, Dense, Flatten, InputError, Network, WhiteBox
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2Gradient
from bl_neuro.attacks import gradient_search as module
from bl_neuro.attacks.gradient_search import (
    ClassStreams,
    ShapedGradientAttack,
    class_gradient,
    class_log_score,
    class_score,
    samples_at_once,
)
from bl_neuro.backends import Response
from bl_neuro.seeding import stream
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

IMAGES = Network((1, 7, 7), [Flatten(), Dense(np.random.default_rng(0).normal(size=(3, 49)), CubaLIF())])
ATTACKS = [BrainLeaksV1(iterations=2), BrainLeaksV2Gradient(iterations=2, samples=2)]


def test_space_and_time_are_blurred() -> None:
    spike = torch.zeros(9, 2, 1, 7, 7, dtype=torch.float64)
    spike[4, 0, 0, 3, 3] = 1.0
    blurred = BrainLeaksV1(blur=0.8, time_blur=1.2).shaped(spike).numpy()
    expected = gaussian_filter(spike.numpy(), (1.2, 0, 0, 0.8, 0.8), mode="constant")
    np.testing.assert_allclose(blurred, expected, atol=1e-12)
    assert not blurred[:, 1].any()


def test_without_priors_nothing_changes() -> None:
    gradient = torch.randn(4, 2, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(BrainLeaksV1().shaped(gradient), gradient)


def test_a_window_needs_an_image() -> None:
    with pytest.raises(InputError, match=r"window: inputs .* are not images"):
        BrainLeaksV1(window=3.0).shaped(torch.zeros(2, 1, 49))
    flat = BrainLeaksV1(window=1.0, image_shape=(7, 7)).shaped(torch.ones(2, 1, 49, dtype=torch.float64))
    assert float(flat[0, 0, 24]) == 1.0
    assert float(flat[0, 0, 0]) < 1e-3


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attacks_apply_blur_and_window(attack: ShapedGradientAttack) -> None:
    shaped = type(attack)(**{**attack.settings(), "window": 0.8, "time_blur": 1.0})
    box = WhiteBox(ReferenceTarget(IMAGES))
    plain, blurred = (one(box, classes=[0, 1, 2], steps=6).images for one in (attack, shaped))
    edge = torch.ones(7, 7, dtype=torch.bool)
    edge[1:6, 1:6] = False
    assert bool((plain[:, 0][:, edge] > 0).any())
    assert float(blurred[:, 0][:, edge].mean()) < 0.1 * float(blurred[:, 0][:, ~edge].mean())
    assert shaped.assumptions(box) == [
        "the object is in the middle (window of 0.8 pixels)",
        "neighbouring steps agree (blur of 1 steps)",
    ]


MEMBRANE = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.0], [0.5, 0.5]]])
RESPONSE = Response(spikes=(MEMBRANE > 1).float(), membrane=MEMBRANE)
CLASSES = torch.tensor([0, 1])


@pytest.mark.parametrize("output", ["membrane", "spikes"])
def test_scores_are_means_over_time(output: Any) -> None:
    values = getattr(RESPONSE, output)
    chances = torch.softmax(values, 2)[:, [0, 1], [0, 1]]
    torch.testing.assert_close(class_score(RESPONSE, CLASSES, output), chances.mean(0))
    torch.testing.assert_close(class_log_score(RESPONSE, CLASSES, output), chances.log().mean(0))


def test_the_batch_size_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    box = WhiteBox(ReferenceTarget(easy_network()))
    spikes = (torch.rand(5, 7, 12, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    score = partial(class_score, output="membrane")
    whole = class_gradient(box, spikes, classes, score)
    monkeypatch.setattr(module, "PIECE_VALUES", 5 * 12 * 3)
    assert samples_at_once(box, 5) == 3
    pieces = class_gradient(box, spikes, classes, score)
    for one, other in zip(whole, pieces):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert box.queries == 14
    monkeypatch.setattr(module, "PIECE_VALUES", 1)
    assert samples_at_once(box, 5) == 1


def test_each_class_has_its_own_random_stream() -> None:
    both = ClassStreams(3, "purpose", [4, 1, 4]).uniform(2, 5)
    assert both.shape == (3, 2, 5)
    assert both.dtype == torch.float32
    assert torch.equal(both[[0, 2]], ClassStreams(3, "purpose", [4, 4]).uniform(2, 5))
    assert torch.equal(both[1], ClassStreams(3, "purpose", [1]).uniform(2, 5)[0])
    assert not torch.equal(both[0], both[2])
    first = stream(3, "purpose", 4, 0).random((2, 5), dtype="float32")
    assert torch.equal(both[0], torch.from_numpy(first))
