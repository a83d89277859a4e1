"""The decoder of an attacker's images: it draws images like them, the same for one seed."""

from __future__ import annotations

import numpy as np

from bl_neuro.attacks.image_decoder import trained_decoder

PATTERNS = np.stack([np.eye(4), np.fliplr(np.eye(4))])[:, None]
IMAGES = np.clip(PATTERNS[np.arange(40) % 2] * np.linspace(0.7, 1, 40)[:, None, None, None], 0, 1)


def test_draws_images_like_those_it_was_trained_on() -> None:
    decoder = trained_decoder(IMAGES, 2, 16, 300, 0)
    drawn = decoder.decode(np.random.default_rng(0).normal(size=(5, 20, 2)))
    assert drawn.shape == (5, 20, 1, 4, 4)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    flat = drawn.reshape(100, 16)
    nearest = np.abs(flat[:, None] - 0.85 * PATTERNS.reshape(2, 16)).mean(axis=2)
    assert np.median(nearest.min(axis=1)) < 0.2
    assert set(nearest.argmin(axis=1).tolist()) == {0, 1}


def test_one_seed_gives_one_decoder_and_another_another() -> None:
    latents = np.random.default_rng(1).normal(size=(3, 2))
    first, other, wide = (trained_decoder(IMAGES, 2, 16, 5, seed).decode(latents) for seed in (0, 1, 2))
    again = trained_decoder(IMAGES, 2, 16, 5, 0)
    assert np.array_equal(first, again.decode(latents))
    assert again is trained_decoder(IMAGES.copy(), 2, 16, 5, 0)
    assert not np.array_equal(first, other)
    assert not np.array_equal(other, wide)
    changed = IMAGES.copy()
    changed[0] = 0.5
    assert not np.array_equal(first, trained_decoder(changed, 2, 16, 5, 0).decode(latents))
