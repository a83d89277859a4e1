"""The rate code."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.data import rate_encode


def encode(images: object, steps: int = 4000, seed: int = 0) -> np.ndarray:
    return rate_encode(np.asarray(images, dtype=np.float64), steps, np.random.default_rng(seed))


def test_values_are_probabilities() -> None:
    images = np.linspace(0, 1, 11).reshape(1, 11)
    spikes = encode(images)
    assert spikes.shape == (4000, 1, 11)
    assert spikes.dtype == np.uint8
    assert spikes.max() == 1
    np.testing.assert_allclose(spikes.mean(0), images, atol=0.03)


def test_black_never_spikes_and_white_always() -> None:
    spikes = encode([[0.0, 1.0]])
    assert not spikes[..., 0].any()
    assert spikes[..., 1].all()


def test_steps_and_pixels_are_independent() -> None:
    spikes = encode([[0.5, 0.5]]).astype(float)[:, 0]
    assert abs(np.corrcoef(spikes.T)[0, 1]) < 0.05
    assert abs(np.corrcoef(spikes[1:, 0], spikes[:-1, 0])[0, 1]) < 0.05


def test_comes_from_its_generator() -> None:
    images = np.full((2, 1, 3, 3), 0.5)
    assert np.array_equal(encode(images, 5, seed=1), encode(images, 5, seed=1))
    assert not np.array_equal(encode(images, 5, seed=1), encode(images, 5, seed=2))


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf])
def test_refuses_values_that_are_no_probability(value: float) -> None:
    with pytest.raises(InputError, match=r"images: expected values in 0\.\.1"):
        encode([[0.5, value]])
