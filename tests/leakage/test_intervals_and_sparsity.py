"""Intervals as the textbooks have them; spike density."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from bl_neuro import InputError
from bl_neuro.leakage import mean_interval, proportion_interval, spike_density


@given(st.integers(1, 200), st.data())
def test_proportions_have_wilsons_interval(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    p, z = hits / count, norm.ppf(0.975)
    middle = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    low, high = proportion_interval(p, count)
    assert low == pytest.approx(max(middle - half, 0), abs=1e-9)
    assert high == pytest.approx(min(middle + half, 1), abs=1e-9)
    assert 0 <= low <= p <= high <= 1


def test_more_inversions_narrow_it() -> None:
    assert proportion_interval(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert np.ptp(proportion_interval(0.9, 1000)) < np.ptp(proportion_interval(0.9, 100)) / 3


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30).map(np.array))
def test_means_have_students_interval(values: np.ndarray) -> None:
    low, high = mean_interval(values)
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=1e-9)
    assert high == pytest.approx(values.mean() + half, abs=1e-9)


def test_one_value_is_its_own_interval() -> None:
    assert mean_interval(np.array([0.3])) == (0.3, 0.3)


def test_density_is_the_fraction_of_bins_with_a_spike() -> None:
    spikes = np.zeros((4, 2, 5), np.uint8)
    assert spike_density(spikes) == 0.0
    spikes[0] = 1
    assert spike_density(spikes) == 0.25
    assert spike_density(np.ones_like(spikes)) == 1.0


def test_refuses() -> None:
    with pytest.raises(InputError, match="count: expected a whole number of at least 1"):
        proportion_interval(0.5, 0)
    with pytest.raises(InputError, match=r"fraction: expected 0\.\.1"):
        proportion_interval(1.5, 10)
    with pytest.raises(InputError, match="values: expected"):
        mean_interval(np.array([]))
    with pytest.raises(InputError, match="at least one bin"):
        spike_density(np.zeros((0, 3)))
