"""The image prior, which applies to image inputs only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from bl_neuro import InputError
from bl_neuro.attacks.image_prior import ImagePrior

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(3, 2, 9, 7))


def point(*shape: int) -> np.ndarray:
    image = np.zeros(shape)
    middle = (0, *(size // 2 for size in shape[1:]))
    image[middle] = 1.0
    return image


def test_flat_inputs_without_a_shape_are_left_alone() -> None:
    prior = ImagePrior((126,), blur=1.0, window=None, image_shape=None)
    assert np.array_equal(prior.shape(NOISE.reshape(3, 126)), NOISE.reshape(3, 126))
    assert prior.active == []


def test_without_blur_and_window_values_are_unchanged() -> None:
    prior = ImagePrior((2, 9, 7), blur=0.0, window=None, image_shape=None)
    assert np.array_equal(prior.shape(NOISE), NOISE)
    assert prior.active == []


def test_blur_is_a_gaussian_over_pixels() -> None:
    prior = ImagePrior((1, 15, 15), blur=1.5, window=None, image_shape=None)
    blurred = prior.shape(point(2, 1, 15, 15))
    assert prior.active == ["neighbouring pixels agree (blur of 1.5 pixels)"]
    assert blurred.sum() == pytest.approx(1.0, abs=1e-3)
    assert np.allclose(blurred[0, 0], blurred[0, 0].T)
    assert np.allclose(blurred[0, 0], blurred[0, 0, ::-1, ::-1])
    assert blurred[0, 0, 7, 8] / blurred[0, 0, 7, 7] == pytest.approx(np.exp(-1 / (2 * 1.5**2)), rel=1e-3)


def test_blur_mixes_neither_classes_nor_channels() -> None:
    prior = ImagePrior((2, 9, 9), blur=2.0, window=None, image_shape=None)
    blurred = prior.shape(point(3, 2, 9, 9))  # in class 0, channel 1
    assert blurred[0, 1].all()
    assert not blurred[0, 0].any()
    assert not blurred[1:].any()


def test_window_is_a_gaussian_about_the_middle() -> None:
    prior = ImagePrior((1, 9, 6), blur=0.0, window=2.0, image_shape=None)
    mask = prior.shape(np.ones((1, 1, 9, 6)))[0, 0]
    assert prior.active == ["the object is in the middle (window of 2 pixels)"]
    rows, columns = np.mgrid[:9, :6]
    np.testing.assert_allclose(mask, np.exp(-((rows - 4) ** 2 + (columns - 2.5) ** 2) / 8))


def test_a_flat_input_of_known_shape_is_an_image() -> None:
    images = NOISE[:, :1]
    flat = ImagePrior((63,), blur=0.7, window=2.0, image_shape=(9, 7))
    image = ImagePrior((1, 9, 7), blur=0.7, window=2.0, image_shape=None)
    assert flat.active == image.active
    assert len(flat.active) == 2
    assert np.array_equal(flat.shape(images.reshape(3, 63)), image.shape(images).reshape(3, 63))


def test_refuses_a_window_on_inputs_that_are_not_images() -> None:
    with pytest.raises(InputError, match=r"window: inputs \(63,\) are not images"):
        ImagePrior((63,), blur=0.0, window=2.0, image_shape=None)


def test_refuses_a_shape_that_does_not_hold_the_input() -> None:
    with pytest.raises(InputError, match=r"image_shape: expected the shape of 63 inputs, found \(8, 8\)"):
        ImagePrior((63,), blur=0.7, window=None, image_shape=(8, 8))


@pytest.mark.parametrize("blur", [0.0, 1.5])
def test_probes_are_binary_and_as_dense_as_asked(blur: float) -> None:
    prior = ImagePrior((2, 10, 10), blur=0.0, window=None, image_shape=None)
    probes = prior.probes(400, (0.1, 0.5), blur, np.random.default_rng(1))
    assert probes.shape == (400, 2, 10, 10)
    assert set(np.unique(probes)) == {0.0, 1.0}
    densities = probes.mean(axis=(1, 2, 3))
    assert densities.min() >= 0.1
    assert densities.max() <= 0.5
    assert densities.mean() == pytest.approx(0.3, abs=0.02)
    assert densities.std() == pytest.approx(0.4 / np.sqrt(12), abs=0.02)  # spread evenly, each its own
    exact = prior.probes(5, (0.25, 0.25), blur, np.random.default_rng(1))
    assert (exact.sum(axis=(1, 2, 3)) == 50).all()
    assert len({probe.tobytes() for probe in exact}) == 5


def neighbours_agree(probes: np.ndarray) -> float:
    return float(pearsonr(probes[..., 1:].ravel(), probes[..., :-1].ravel()).statistic)


def test_blurred_probes_are_blobs() -> None:
    prior = ImagePrior((1, 12, 12), blur=0.0, window=None, image_shape=None)
    rng = np.random.default_rng(2)
    assert abs(neighbours_agree(prior.probes(200, (0.3, 0.3), 0.0, rng))) < 0.05
    assert neighbours_agree(prior.probes(200, (0.3, 0.3), 1.5, rng)) > 0.5


def test_windowed_blobs_lie_in_the_middle() -> None:
    prior = ImagePrior((1, 12, 12), blur=0.0, window=2.0, image_shape=None)
    mean = prior.probes(200, (0.2, 0.2), 1.5, np.random.default_rng(3)).mean(axis=(0, 1))
    assert mean[4:8, 4:8].mean() > 0.7
    assert mean[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 0.05


def test_probes_come_from_their_seed() -> None:
    prior = ImagePrior((1, 6, 6), blur=0.5, window=None, image_shape=None)
    first, again, other = (prior.probes(4, (0.1, 0.9), 1.0, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shared_chance_is_even_and_smooth() -> None:
    prior = ImagePrior((1, 12, 12), 0.0, None, None)
    uniform = prior.uniform((400, 2), 1.5, np.random.default_rng(0))
    assert uniform.shape == (400, 2, 1, 12, 12)
    for quantile in (0.1, 0.5, 0.9):
        np.testing.assert_allclose((uniform < quantile).mean(axis=(0, 1)), quantile, atol=0.08)
    neighbours = np.corrcoef(uniform[..., :-1].ravel(), uniform[..., 1:].ravel())[0, 1]
    apart = np.corrcoef(uniform[..., :6].ravel(), uniform[..., 6:].ravel())[0, 1]
    assert neighbours > 0.7
    assert abs(apart) < 0.1


@pytest.mark.parametrize(("shape", "blur"), [((1, 6, 6), 0.0), ((36,), 2.0)])
def test_chance_is_not_shared_where_nothing_is_a_neighbour(shape: tuple[int, ...], blur: float) -> None:
    prior = ImagePrior(shape, 0.0, None, None)
    values = prior.uniform((5,), blur, np.random.default_rng(0))
    np.testing.assert_array_equal(values, np.random.default_rng(0).random((5, *shape)))


def test_the_mask_is_the_window() -> None:
    assert ImagePrior((1, 5, 5), 0.0, None, None).mask.tolist() == np.ones((1, 5, 5)).tolist()
    mask = ImagePrior((25,), 0.0, 1.0, (5, 5)).mask
    assert mask.shape == (25,)
    assert mask[12] == 1.0
    assert mask[0] == pytest.approx(np.exp(-4))
