"""What is counted of one layer, and the maps that are drawn of it."""

from __future__ import annotations

import numpy as np
import pytest

from bl_neuro.deploy.parity.tally import MAP_ROWS, LayerParity, LayerTally

NEURONS, STEPS, SAMPLES = 1000, 6, 5
ROWS = 125  # of 8 neurons each


def counted(*flips: list[tuple[int, int, int]]) -> LayerParity:
    """A layer where the pieces differ in these (step, sample, neuron)."""
    tally = LayerTally(0, "Dense", (NEURONS,), ("left", "right"))
    for piece in flips:
        left = np.zeros((STEPS, SAMPLES, NEURONS), bool)
        left[1, :, :40] = True
        right = left.copy()
        for place in piece:
            right[place] = ~right[place]
        tally.add(left, right, "random")
    return tally.result()


def test_a_row_is_the_largest_of_its_neurons_over_all_pieces() -> None:
    """Neighbours that differ in two pieces are two neurons that differ once, and no neuron differs twice."""
    found = counted([(3, 0, 16)], [(3, 1, 17)], [(3, 2, 17), (4, 2, 999)])
    assert found.map.shape == (STEPS, ROWS)
    assert ROWS <= MAP_ROWS
    assert found.neurons_per_row == NEURONS // ROWS
    assert {tuple(place) for place in np.argwhere(found.map).tolist()} == {(3, 2), (4, 124)}
    assert found.map[3, 2] == pytest.approx(2 / (3 * SAMPLES))
    assert found.map[4, 124] == pytest.approx(1 / (3 * SAMPLES))
    assert found.steps.tolist() == pytest.approx([0, 0, 0, 3 / (3 * SAMPLES * NEURONS), 1 / (3 * SAMPLES * NEURONS), 0])


def test_neurons_that_spiked_are_counted_for_each() -> None:
    found = counted([], [(0, 0, 7), (0, 0, 50), (2, 0, 51)])
    assert (found.neurons, found.active, found.silent) == (NEURONS, (40, 42), False)


def test_without_a_difference_the_map_is_empty() -> None:
    found = counted([], [])
    assert found.exact
    assert not found.map.any()
    assert found.map.shape == (STEPS, ROWS)
    assert not found.steps.any()


def test_few_neurons_have_a_row_each() -> None:
    tally = LayerTally(1, "Conv", (2, 3, 4), ("left", "right"))
    silence = np.zeros((STEPS, 2, 2, 3, 4), bool)
    tally.add(silence, silence, "random 0")
    found = tally.result()
    assert (found.map.shape, found.neurons_per_row, found.silent, found.active) == ((STEPS, 24), 1, True, (0, 0))
