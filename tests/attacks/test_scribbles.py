"""Random pen strokes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from bl_neuro.attacks.scribbles import scribbles


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
