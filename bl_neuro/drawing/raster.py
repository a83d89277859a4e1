"""Raster plot of one inversion, with spike counts per step and its mean over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.drawing.figure import new_figure
from bl_neuro.drawing.picture import BLUE, INK, ORANGE, QUIET, RULE, Picture, dress, rendered
from bl_neuro.drawing.pixels import CHANNELS, colours, stretched
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BINS = 2**26
RASTER = (310, 165)
"""Width and height of the raster in points, about: a spike is as wide as a step and as tall as a row, where it can."""
MOST_VECTORS = 4000
"""Spikes drawn one by one in the SVG; more become one embedded picture there."""


def spike_raster(spikes: npt.ArrayLike, title: str = "", index: int | None = None) -> Picture:
    """Raster plot of one inversion, 0 or 1: steps to the right, inputs downwards, row by row.

    spikes: (T, features) or (T, C, H, W) of one inversion, or (T, K, features) or (T, K, C, H, W) of several, of which
    `index` selects one: `spike_raster(inversions.spikes, index=3)`.

    With C of 1 to 3, the mean over time is drawn beside the raster. Two channels are events: ON (channel 1) in blue,
    OFF (channel 0) in orange and below the ON events.

    Raises:
        InputError: values other than 0 and 1, no bins, more than 2^26 bins, or several inversions without index.
    """
    bins = _one_inversion(numbers(spikes, "spikes"), index)
    if bins.size == 0 or not np.isin(bins, (0, 1)).all():
        raise InputError(f"spikes: expected 0/1 of shape (T, *input_shape), found shape {bins.shape}")
    if bins.size > MOST_BINS:
        raise InputError(f"spikes: expected at most 2^26 bins, found {bins.size}")
    fired = bins.astype(bool)
    return rendered(_figure(fired, title), _alt(fired, title))


def _one_inversion(bins: FloatArray, index: int | None) -> FloatArray:
    """The spikes (T, features) or (T, C, H, W) of the selected inversion."""
    if bins.ndim not in (2, 3, 4, 5):
        raise InputError(f"spikes: expected 0/1 of shape (T, *input_shape), found shape {bins.shape}")
    several = bins.ndim in (3, 5)
    if several and index is None:
        raise InputError(
            f"spikes: expected one inversion, (T, features) or (T, C, H, W), found {bins.shape[1]} in shape "
            f"{bins.shape}; choose one with index="
        )
    if index is None:
        return bins
    if not several:
        raise InputError(f"index: expected several inversions to choose from, found one of shape {bins.shape}")
    if not -bins.shape[1] <= index < bins.shape[1]:
        raise InputError(f"index: expected 0..{bins.shape[1] - 1}, found {index}")
    return bins[:, index]


def _figure(fired: BoolArray, title: str) -> Figure:
    picture = _mean_picture(fired)
    figure = new_figure(7.2 if picture is not None else 5.2, 3.6, constrained=True)
    from matplotlib.ticker import MaxNLocator

    widths = (3.4, 1.6) if picture is not None else (1.0,)
    grid = figure.subplots(2, len(widths), squeeze=False, width_ratios=widths, height_ratios=(1, 4), sharex="col")
    counts, raster = grid[0][0], grid[1][0]
    _draw_counts(counts, fired)
    _draw_spikes(raster, fired)
    raster.xaxis.set_major_locator(MaxNLocator(integer=True))
    if picture is not None:
        grid[0][1].set_visible(False)
        grid[1][1].imshow(picture)
        grid[1][1].set(xticks=[], yticks=[])
        grid[1][1].set_title("mean over time", fontsize=8, color=QUIET)
        for spine in grid[1][1].spines.values():
            spine.set(color=RULE, linewidth=0.5)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK, parse_math=False)
    return figure


def _draw_counts(axes: Axes, fired: BoolArray) -> None:
    counts = fired.reshape(len(fired), -1).sum(axis=1)
    axes.bar(np.arange(len(counts)), counts, width=0.8, color=QUIET, linewidth=0)
    axes.set_ylabel("spikes\na step", fontsize=8, color=QUIET)
    axes.set_ylim(0, max(1, 1.05 * int(counts.max())))
    axes.set_yticks([0, int(counts.max())] if counts.max() else [0])
    dress(axes)
    axes.tick_params(labelbottom=False)


def _draw_spikes(axes: Axes, fired: BoolArray) -> None:
    events = _is_events(fired)
    # ON above OFF: channel 1 first.
    rows = (fired[:, ::-1] if events else fired).reshape(len(fired), -1)
    step, place = np.nonzero(rows)
    half = rows.shape[1] // 2
    groups = [(place < half, BLUE, "ON"), (place >= half, ORANGE, "OFF")] if events else [(place >= 0, INK, "")]
    wide = float(np.clip(0.8 * RASTER[0] / len(fired), 1.2, 12.0))
    tall = float(np.clip(0.9 * RASTER[1] / rows.shape[1], 0.6, 6.0))
    for chosen, colour, name in groups:
        axes.plot(
            step[chosen], place[chosen], linestyle="none", marker="_", markersize=wide, markeredgewidth=tall,
            color=colour, alpha=float(np.clip(1500 / rows.shape[1], 0.3, 1.0)), rasterized=len(step) > MOST_VECTORS,
        )  # fmt: skip
        if name:
            middle = half / 2 if name == "ON" else 1.5 * half
            axes.annotate(
                name, (1.01, middle), xycoords=("axes fraction", "data"), color=colour, fontsize=8, va="center"
            )
    if events:
        axes.axhline(half - 0.5, color=RULE, linewidth=0.8)
        axes.set_yticks([])  # the channels stand in another order than they are counted in
    axes.set_xlim(-0.7, len(fired) - 0.3)
    axes.set_ylim(rows.shape[1] - 0.3, -0.7)
    axes.set_xlabel("step", fontsize=8, color=QUIET)
    axes.set_ylabel("input, row by row" if fired.ndim > 2 else "input", fontsize=8, color=QUIET)
    dress(axes)


def _is_events(fired: BoolArray) -> bool:
    return fired.ndim == 4 and fired.shape[1] == 2


def _mean_picture(fired: BoolArray) -> npt.NDArray[np.uint8] | None:
    """The mean over time as colours, or None if the inputs are not an image."""
    mean = fired.mean(axis=0)
    if mean.ndim != 3 or len(mean) not in CHANNELS:
        return None
    return colours(stretched(mean))


def _alt(fired: BoolArray, title: str) -> str:
    counts = fired.reshape(len(fired), -1).sum(axis=1)
    density = counts.sum() / fired.size
    return (
        f"Spike raster{f' of {title}' if title else ''}: {fired[0].size} inputs over {len(fired)} steps, "
        f"{counts.sum():,} spikes ({density:.1%} of all bins), {counts.min():,} to {counts.max():,} a step."
    )
