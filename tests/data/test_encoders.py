"""The encoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bl_neuro import InputError
from bl_neuro.data import ENCODERS, Encoder, direct_encode, find_encoder, held_encode, rate_encode


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
def test_refuses_values_that_are_not_probabilities(value: float) -> None:
    with pytest.raises(InputError, match=r"images: expected values in 0\.\.1"):
        encode([[0.5, value]])


IMAGES = np.random.default_rng(1).random((3, 1, 4, 5))


@pytest.mark.parametrize("steps", [1, 7])
def test_a_held_frame_is_drawn_once(steps: int) -> None:
    spikes = held_encode(IMAGES, steps, np.random.default_rng(0))
    assert spikes.dtype == np.uint8
    assert spikes.shape == (steps, *IMAGES.shape)
    assert np.array_equal(spikes, np.broadcast_to(rate_encode(IMAGES, 1, np.random.default_rng(0)), spikes.shape))
    many = [held_encode(IMAGES, 2, rng)[1] for rng in map(np.random.default_rng, range(2000))]
    np.testing.assert_allclose(np.mean(many, axis=0), IMAGES, atol=0.05)


def test_a_held_frame_can_be_cut_at_a_threshold() -> None:
    spikes = held_encode(IMAGES, 4, np.random.default_rng(0), threshold=0.6)
    assert np.array_equal(spikes, np.broadcast_to(IMAGES > 0.6, spikes.shape))
    with pytest.raises(InputError, match=r"threshold: expected 0\.\.1, found 1\.5"):
        held_encode(IMAGES, 4, np.random.default_rng(0), threshold=1.5)


def test_direct_values_are_held_as_they_are() -> None:
    values = direct_encode(IMAGES, 6, np.random.default_rng(0))
    assert values.dtype == np.float64
    assert np.array_equal(values, np.broadcast_to(IMAGES, (6, *IMAGES.shape)))


@pytest.mark.parametrize("encoder", [held_encode, direct_encode])
def test_held_input_is_one_frame_that_backends_recognise(encoder: Encoder) -> None:
    images = IMAGES.copy()
    values = encoder(images, 5, np.random.default_rng(0))
    tensor = torch.from_numpy(values)  # warns of arrays that are read-only
    assert tensor.stride(0) == values.strides[0] == 0
    images[:] = 0.0
    assert values.any()


@pytest.mark.parametrize("encoder", ENCODERS.values())
def test_every_encoder_refuses_invalid_images_and_steps(encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"images: expected values in 0\.\.1"):
        encoder(IMAGES + 1, 5, np.random.default_rng(0))
    for steps in (0, -1, 2**16 + 1):
        with pytest.raises(InputError, match=r"steps: expected 1\.\.65536"):
            encoder(IMAGES, steps, np.random.default_rng(0))


def test_encoders_are_found_by_name() -> None:
    assert list(ENCODERS) == ["rate", "held", "direct"]
    assert find_encoder("held") is held_encode
    assert find_encoder(direct_encode) is direct_encode
    with pytest.raises(InputError, match="encoder: expected one of rate, held, direct, found 'latency'"):
        find_encoder("latency")
