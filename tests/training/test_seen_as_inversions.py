"""Images transformed to resemble inversions."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.training.seen_as_inversions import events_seen_as_inversions, seen_as_inversions, shifted


def test_images_stay_rates_of_so_many_steps() -> None:
    images = np.random.default_rng(0).random((7, 1, 9, 9))
    seen = seen_as_inversions(images, 5, np.random.default_rng(1))
    assert seen.shape == images.shape
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen * 5, np.rint(seen * 5), atol=1e-5)
    assert 0 <= seen.min() <= seen.max() <= 1


def test_the_noise_is_that_of_a_rate_code() -> None:
    seen = seen_as_inversions(np.zeros((4000, 1, 1, 1)), 20, np.random.default_rng(1))
    # a background of 0 to 0.2, evenly: its mean is 0.1, and p (1 - p) / T averages to 0.00433 beside its own 0.00333
    assert seen.mean() == pytest.approx(0.1, abs=0.01)
    assert seen.var() == pytest.approx(0.00433 + 0.00333, abs=0.001)


@pytest.mark.parametrize("side", [8, 28, 60])
def test_shifts_move_by_whole_pixels(side: int) -> None:
    image = np.zeros((1, 1, side, side))
    image[0, 0, side // 2, side // 2] = 1
    places = set()
    for seed in range(80):
        moved = shifted(image, 2, np.random.default_rng(seed))
        assert moved.sum() == 1
        rows, columns = np.argwhere(moved[0, 0])[0] - side // 2
        places.add((int(rows), int(columns)))
    assert {rows for rows, _ in places} == {columns for _, columns in places} == {-2, -1, 0, 1, 2}


def test_events_lose_some_and_gain_few() -> None:
    full = np.ones((20, 50, 1, 8, 8), np.uint8)
    seen = events_seen_as_inversions(full, np.random.default_rng(0))
    assert set(np.unique(seen)) == {0, 1}
    assert 0.6 < seen[:, :, :, 1:-1, 1:-1].mean() < 0.95
    empty = events_seen_as_inversions(np.zeros_like(full), np.random.default_rng(0))
    assert 0.003 < empty.mean() < 0.02
