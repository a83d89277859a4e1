"""Pictures of a comparison: for every pair, where in time and in which neurons of each layer the substrates differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bl_neuro.deploy.parity.report import PairParity, ParityReport
from bl_neuro.deploy.parity.tally import LayerParity
from bl_neuro.errors import ReportError
from bl_neuro.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, ACCENT = "#15181c", "#565f69", "#c4500a"
MOST_LAYERS = 12
"""Layers of one picture; a deeper network's picture shows its first ones."""
DOTS_PER_INCH = 110


def draw(report: ParityReport, folder: str | Path) -> list[Path]:
    """Writes one PNG a pair to `folder`, `parity-<substrate>-<reference>.png`.

    Raises:
        ReportError: the folder cannot be written to.
    """
    written = []
    for pair in report.pairs:
        path = Path(folder) / f"parity-{pair.left}-{pair.right}.png"
        figure = pair_figure(pair)
        try:
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        except OSError as error:
            raise ReportError(f"{path}: expected a folder that can be written to ({error})") from error
        written.append(path)
    return written


def pair_figure(pair: PairParity) -> Figure:
    """A row for each layer: a map of what differs, neurons by steps, and the part of the bins that does, by step."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    layers = pair.layers[:MOST_LAYERS]
    figure = Figure(figsize=(9.0, 0.9 + 1.9 * len(layers)), layout="constrained")
    grid = figure.subplots(len(layers), 2, squeeze=False, width_ratios=(3, 2))
    for axes, layer in zip(grid, layers):
        _draw_map(axes[0], layer)
        _draw_steps(axes[1], layer)
        for each in axes:
            each.xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[-1][0].set_xlabel("step", color=QUIET)
    grid[-1][1].set_xlabel("step", color=QUIET)
    figure.suptitle(_headline(pair), x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def _headline(pair: PairParity) -> str:
    if pair.exact:
        return f"{pair.left} and {pair.right}: identical in all {pair.bins:,} bins"
    said = "promised identical, and is not" if pair.broken else "not promised identical"
    return f"{pair.left} against {pair.right}: {pair.identical / pair.bins:.2%} of bins identical ({said})"


def _draw_map(axes: Axes, layer: LayerParity) -> None:
    highest = float(layer.map.max())
    steps, rows = layer.map.shape
    extent = (-0.5, steps - 0.5, rows - 0.5, -0.5)
    axes.imshow(
        layer.map.T, aspect="auto", cmap="Greys", vmin=0, vmax=highest or 1, extent=extent, interpolation="nearest"
    )
    told = "identical" if layer.exact else f"{layer.fraction:.2%} identical; darkest: {highest:.0%} of samples differ"
    axes.set_title(f"layer {layer.layer}: {layer.kind.split(',')[0]}, {told}", loc="left", fontsize=8.5, color=INK)
    axes.set_ylabel("neuron" if rows > 1 else "", color=QUIET, fontsize=8)
    axes.set_yticks([])
    if layer.first is not None:
        axes.axvline(layer.first.step, color=ACCENT, linewidth=1.2)
    axes.tick_params(labelsize=8, colors=QUIET)


def _draw_steps(axes: Axes, layer: LayerParity) -> None:
    share = 100 * layer.steps
    axes.plot(np.arange(len(share)), share, color=INK, linewidth=1.2, marker=".", markersize=4)
    axes.set_ylim(bottom=0, top=max(1.05 * float(share.max()), 0.1))
    if layer.first is not None:
        axes.axvline(layer.first.step, color=ACCENT, linewidth=1.2)
        axes.set_title(
            f"first in step {layer.first.step} ({layer.first.stimulus})", loc="left", fontsize=8.5, color=ACCENT
        )
    axes.set_ylabel("% that differs", color=QUIET, fontsize=8)
    axes.tick_params(labelsize=8, colors=QUIET)
