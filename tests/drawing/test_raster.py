"""The raster has a mark for every spike, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import InputError
from bl_neuro.drawing import raster, spike_raster
from bl_neuro.drawing.pixels import colours, stretched

pytestmark = pytest.mark.slow
SPIKES = (np.random.default_rng(0).random((7, 1, 4, 5)) < 0.3).astype(np.uint8)


def marks(axes: Any) -> set[tuple[int, int]]:
    """Step and row of every mark of the raster."""
    lines = [line for line in axes.lines if line.get_marker() == "_"]
    return {(int(x), int(y)) for line in lines for x, y in zip(*line.get_data())}


def test_every_spike_is_there(figures: list[Any]) -> None:
    made = spike_raster(SPIKES, "class 3")
    counts, _, below, mean = figures[0].axes
    assert marks(below) == {(t, n) for t, n in zip(*np.nonzero(SPIKES.reshape(7, -1)))}
    assert [bar.get_height() for bar in counts.patches] == SPIKES.sum(axis=(1, 2, 3)).tolist()
    assert np.array_equal(mean.images[0].get_array(), colours(stretched(SPIKES.mean(axis=0))))
    assert made.alt.startswith(f"Spike raster of class 3: 20 inputs over 7 steps, {SPIKES.sum()} spikes")


def test_on_stands_above_off(figures: list[Any]) -> None:
    events = np.zeros((3, 2, 2, 2), np.uint8)
    events[1, 0, 0, 1] = events[2, 1, 1, 0] = 1
    spike_raster(events)
    assert marks(figures[0].axes[2]) == {(1, 4 + 1), (2, 2)}
    assert {text.get_text() for text in figures[0].axes[2].texts} == {"ON", "OFF"}


def test_inputs_that_are_no_picture(figures: list[Any]) -> None:
    spike_raster(SPIKES.reshape(7, 20))
    spike_raster(SPIKES.repeat(5, axis=1))
    assert [len(figure.axes) for figure in figures] == [2, 2]
    spike_raster(np.zeros((3, 5)))  # silence is a picture too


@pytest.mark.parametrize("shape", [(7, 10, 1, 4, 5), (7, 10, 20)])
def test_one_of_several_inversions_is_chosen(shape: tuple[int, ...], figures: list[Any]) -> None:
    several = (np.random.default_rng(1).random(shape) < 0.3).astype(np.uint8)
    with pytest.raises(InputError, match=r"expected one inversion, .*, found 10 in shape .*; choose one with index="):
        spike_raster(several)
    chosen = spike_raster(several, index=3)
    assert chosen.png == spike_raster(several[:, 3]).png
    with pytest.raises(InputError, match=r"index: expected 0\.\.9, found 10"):
        spike_raster(several, index=10)
    with pytest.raises(InputError, match="index: expected several inversions to choose from, found one"):
        spike_raster(several[:, 3], index=0)


def test_many_spikes_are_one_embedded_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = spike_raster(SPIKES.reshape(7, 20))
    monkeypatch.setattr(raster, "MOST_VECTORS", 3)
    embedded = spike_raster(SPIKES.reshape(7, 20))
    assert b"<image" not in drawn.svg
    assert b"<image" in embedded.svg


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (SPIKES * 2, "expected 0/1"),
        (SPIKES[:0], "expected 0/1"),
        (SPIKES[:, 0, 0, 0], "expected 0/1"),
        ([[np.nan]], "spikes: expected numbers"),
    ],
)
def test_refuses(spikes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        spike_raster(spikes)


def test_refuses_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "MOST_BINS", 100)
    with pytest.raises(InputError, match=r"expected at most 2\^26 bins, found 140"):
        spike_raster(SPIKES)
