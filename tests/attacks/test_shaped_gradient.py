"""Priors on gradients: what they do to one, and that the attacks along gradients use them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bl_neuro import CubaLIF, Dense, Flatten, InputError, Network, WhiteBox
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2Gradient
from bl_neuro.attacks.shaped_gradient import ShapedGradientAttack
from bl_neuro.testing.reference_target import ReferenceTarget

IMAGES = Network((1, 7, 7), [Flatten(), Dense(np.random.default_rng(0).normal(size=(3, 49)), CubaLIF())])
ATTACKS = [BrainLeaksV1(iterations=2), BrainLeaksV2Gradient(iterations=2, samples=2)]


def test_space_and_time_are_blurred() -> None:
    spike = torch.zeros(9, 2, 1, 7, 7, dtype=torch.float64)
    spike[4, 0, 0, 3, 3] = 1.0
    found = BrainLeaksV1(blur=0.8, time_blur=1.2).shaped(spike).numpy()
    expected = gaussian_filter(spike.numpy(), (1.2, 0, 0, 0.8, 0.8), mode="constant")
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert not found[:, 1].any()


def test_without_priors_nothing_changes() -> None:
    gradient = torch.randn(4, 2, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(BrainLeaksV1().shaped(gradient), gradient)


def test_a_window_needs_an_image() -> None:
    with pytest.raises(InputError, match=r"window: inputs .* are no images"):
        BrainLeaksV1(window=3.0).shaped(torch.zeros(2, 1, 49))
    flat = BrainLeaksV1(window=1.0, image_shape=(7, 7)).shaped(torch.ones(2, 1, 49, dtype=torch.float64))
    assert float(flat[0, 0, 24]) == 1.0
    assert float(flat[0, 0, 0]) < 1e-3


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attacks_use_them(attack: ShapedGradientAttack) -> None:
    shaped = type(attack)(**{**attack.settings(), "window": 0.8, "time_blur": 1.0})
    box = WhiteBox(ReferenceTarget(IMAGES))
    plain, found = (one(box, classes=[0, 1, 2], steps=6).images for one in (attack, shaped))
    edge = torch.ones(7, 7, dtype=torch.bool)
    edge[1:6, 1:6] = False
    assert bool((plain[:, 0][:, edge] > 0).any())
    assert float(found[:, 0][:, edge].mean()) < 0.1 * float(found[:, 0][:, ~edge].mean())
    assert shaped.assumptions(box) == [
        "the object is in the middle (window of 0.8 pixels)",
        "neighbouring steps agree (blur of 1 steps)",
    ]
