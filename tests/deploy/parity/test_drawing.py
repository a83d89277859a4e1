"""Pictures of differences show even the smallest one."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from bl_neuro.deploy.parity.drawing import DOTS_PER_INCH, pair_figure
from bl_neuro.deploy.parity.report import PairParity
from bl_neuro.deploy.parity.tally import LayerParity, LayerTally

pytestmark = pytest.mark.slow

WHITE = 250


def layer(neurons: int, steps: int, flips: list[tuple[int, int, int]], index: int = 0) -> LayerParity:
    tally = LayerTally(index, f"Dense 5 -> {neurons}", (neurons,), ("left", "right"))
    left = np.zeros((steps, 40, neurons), bool)
    right = left.copy()
    for place in flips:
        right[place] = True
    tally.add(left, right, "random")
    return tally.result()


def drawn(*layers: LayerParity) -> tuple[Any, Any]:
    """The figure, and the grey pixels of its first map."""
    from matplotlib.image import imread

    figure = pair_figure(PairParity("left", "right", False, layers, (), 40, None, None, ()))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    file.seek(0)
    box = figure.axes[0].get_window_extent()
    pixels = (255 * imread(file)[..., :3]).astype(int)
    height = len(pixels)
    scale = DOTS_PER_INCH / figure.dpi
    top, bottom = (height - int(scale * edge) for edge in (box.y1, box.y0))
    inside = pixels[top + 2 : bottom - 2, int(scale * box.x0) + 3 : int(scale * box.x1) - 3]
    grey = (inside.max(axis=2) - inside.min(axis=2)) < 8  # the line of the first difference is in colour
    return figure, np.where(grey, inside.mean(axis=2), 255)


@pytest.mark.parametrize("neurons", [10, 256, 1000, 4097])
def test_one_neuron_that_differs_in_one_sample_is_seen(neurons: int) -> None:
    """Among others which differ in all samples, and wherever it lies."""
    everywhere = [(2, sample, 0) for sample in range(40)]
    for neuron in (neurons // 3, neurons - 2):
        _, pixels = drawn(layer(neurons, 20, [*everywhere, (12, 7, neuron)]))
        half = pixels.shape[1] // 2
        assert (pixels[:, half:] < WHITE).any()
        _, pixels = drawn(layer(neurons, 20, everywhere))
        assert not (pixels[:, half:] < WHITE).any()


def test_one_step_of_thousands_is_seen() -> None:
    _, pixels = drawn(layer(3, 3000, [(10, 0, 0), (2001, 0, 1)]))
    assert (pixels[:, pixels.shape[1] // 2 :] < WHITE).any()


def test_titles_and_axes_match_the_data() -> None:
    flips = [(2, 0, 16), (2, 1, 17), (3, 5, 17)]  # no neuron differs in more than one sample of 40
    figure, _ = drawn(layer(1000, 20, flips), layer(10, 20, [], index=1))
    first, _, second, _ = figure.axes
    assert first.get_title(loc="left") == "layer 0: Dense 5 -> 1000, differing bins: 3; darkest: in 2.5 % of samples"
    assert first.get_ylabel() == "neuron\n(8 per row)"
    assert first.get_ylim()[0] > 999.5 > -0.5 > first.get_ylim()[1]
    assert len(first.get_yticks()) > 1
    assert second.get_title(loc="left") == "layer 1: Dense 5 -> 10, identical"
    assert second.get_ylabel() == "neuron"
    assert "3 of 808,000 bins differ" in figure.get_suptitle()
