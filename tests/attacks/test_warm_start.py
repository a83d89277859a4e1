"""The first guess from shared probes, and how many of them a budget allows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.warm_start import affordable_probes, first_rates, scribbles

NO_PRIOR = ImagePrior((4,), 0.0, None, None)


def test_inputs_that_speak_for_a_class_are_raised() -> None:
    rng = np.random.default_rng(0)
    frames = (rng.random((400, 4)) < 0.5).astype(float)
    answers = np.stack([frames[:, 0], -frames[:, 3]], axis=1)
    rates = first_rates(frames, answers, NO_PRIOR, base_rate=0.3, amplitude=0.1)
    assert rates.shape == (2, 4)
    assert rates[0].argmax() == 0
    assert rates[1].argmin() == 3
    np.testing.assert_allclose(rates.mean(axis=1), 0.3)
    np.testing.assert_allclose(rates.std(axis=1), 0.1)


def test_equal_answers_carry_no_information() -> None:
    frames = np.eye(4)
    np.testing.assert_array_equal(first_rates(frames, np.zeros((4, 3)), NO_PRIOR, 0.2, 0.15), 0.2)


def test_rates_stay_open_to_change() -> None:
    frames = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    rates = first_rates(frames, np.array([[1.0], [0.0]]), NO_PRIOR, 0.5, 10.0)
    assert rates.tolist() == [[0.8, 0.05, 0.05, 0.05]]


@pytest.mark.parametrize(
    ("remaining", "probes"), [(None, 100), (1000, 100), (300, 100), (299, 100), (150, 75), (3, 1), (1, 1), (0, 0)]
)
def test_a_budget_too_small_is_split(remaining: int | None, probes: int) -> None:
    assert affordable_probes(remaining, probes=100, searching=200) == probes


def test_each_is_one_line_as_thick_as_the_pen() -> None:
    thin, thick = (scribbles(40, 28, 28, pen, np.random.default_rng(0)) for pen in (1.4, 2.5))
    assert set(np.unique(thin)) == {0.0, 1.0}
    assert [label(image, np.ones((3, 3)))[1] for image in thin] == [1] * 40
    assert (thin <= thick).all()  # the same curves
    assert thick.sum() > 1.4 * thin.sum()


def test_they_differ_and_lie_about_the_middle() -> None:
    drawn = scribbles(200, 28, 40, 1.4, np.random.default_rng(1))
    assert len(np.unique(drawn.reshape(200, -1), axis=0)) == 200
    rows, columns = drawn.mean((0, 2)), drawn.mean((0, 1))
    assert abs((rows * np.arange(28)).sum() / rows.sum() - 13.5) < 0.7
    assert abs((columns * np.arange(40)).sum() / columns.sum() - 19.5) < 0.7
    assert columns[:5].sum() == columns[-5:].sum() == 0  # they reach as far as the shorter side lets them


def test_same_seed_same_strokes() -> None:
    one, two = (scribbles(3, 8, 8, 1.0, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
