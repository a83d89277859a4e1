"""Figures of a comparison: for every pair, the time steps and neurons of each layer in which the substrates differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.deploy.parity.report import PairParity, ParityReport
from bl_neuro.deploy.parity.tally import LayerParity
from bl_neuro.errors import ReportError
from bl_neuro.files import atomic_path, need_folder, need_free

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, ACCENT = "#15181c", "#565f69", "#c4500a"
MOST_LAYERS = 12
"""Maximum number of layers in a figure; the figure of a deeper network shows its first ones."""
DOTS_PER_INCH = 110
MAP_COLUMNS = 400
"""Maximum number of columns of a map, fewer than its pixels; neighbouring time steps share a column."""
PICTURE_NAME = "parity-{}-{}.png"
"""Name of the picture of two substrates."""
FAINTEST = 0.45
"""Darkness of a bin that differs in very few samples, so that it stays visible."""


def need_folder_for_pictures(folder: Path, force: bool) -> None:
    """Creates the folder for `draw`, before substrates are compared.

    Raises:
        ReportError: the folder is not writable. InputError: it contains pictures of `draw`, and force is False.
    """
    need_folder(folder)
    need_free(sorted(folder.glob(PICTURE_NAME.format("*", "*"))), force)


def draw(report: ParityReport, folder: str | Path) -> list[Path]:
    """Writes a PNG for each pair that differs to `folder`, named `parity-<substrate>-<reference>.png`.

    Raises:
        ReportError: the folder is not writable.
    """
    paths = []
    for pair in report.pairs:
        if pair.exact:
            continue
        path = Path(folder) / PICTURE_NAME.format(pair.left, pair.right)
        figure = pair_figure(pair)
        try:
            with atomic_path(path) as temporary:
                figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        except OSError as error:
            raise ReportError(f"{path}: expected a writable folder ({error})") from error
        paths.append(path)
    return paths


def pair_figure(pair: PairParity) -> Figure:
    """One row per layer: a map of the differing bins (neuron by time step), and their fraction per time step."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    layers = pair.layers[:MOST_LAYERS]
    figure = Figure(figsize=(9.0, 0.9 + 1.9 * len(layers)), layout="constrained")
    grid = figure.subplots(len(layers), 2, squeeze=False, width_ratios=(3, 2))
    for row, layer in zip(grid, layers):
        _draw_map(row[0], layer)
        _draw_steps(row[1], layer)
        for axes in row:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[-1][0].set_xlabel("step", color=QUIET)
    grid[-1][1].set_xlabel("step", color=QUIET)
    figure.suptitle(_headline(pair), x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def _headline(pair: PairParity) -> str:
    if pair.exact:
        return f"{pair.left} and {pair.right}: identical in all {pair.bins:,} bins"
    promise = "although promised identical" if pair.broken else "not promised identical"
    return f"{pair.left} against {pair.right}: {pair.bins - pair.identical:,} of {pair.bins:,} bins differ ({promise})"


def _draw_map(axes: Axes, layer: LayerParity) -> None:
    from matplotlib.ticker import MaxNLocator

    highest = float(layer.map.max())
    shades = np.where(layer.map > 0, FAINTEST + (1 - FAINTEST) * layer.map / (highest or 1), 0)
    neurons = shades.shape[1] * layer.neurons_per_row
    extent = (-0.5, len(shades) - 0.5, neurons - 0.5, -0.5)
    axes.imshow(_columns(shades).T, aspect="auto", cmap="Greys", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    differing = f"differing bins: {layer.bins - layer.identical:,}; darkest: in {100 * highest:.3g} % of samples"
    margin = 0.03 * neurons  # the frame covers no row
    axes.set_ylim(neurons - 0.5 + margin, -0.5 - margin)
    result = "identical" if layer.exact else differing
    axes.set_title(f"layer {layer.layer}: {layer.kind.split(',')[0]}, {result}", loc="left", fontsize=8.5, color=INK)
    note = f"\n({layer.neurons_per_row} per row)" if layer.neurons_per_row > 1 else ""
    axes.set_ylabel(f"neuron{note}", color=QUIET, fontsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    if layer.first is not None:
        axes.axvline(layer.first.step, color=ACCENT, linewidth=1.2)
    axes.tick_params(labelsize=8, colors=QUIET)


def _columns(shades: FloatArray) -> FloatArray:
    """(T, rows) reduced to at most `MAP_COLUMNS` columns: the largest value of neighbouring time steps."""
    width = -(-len(shades) // MAP_COLUMNS)
    return np.maximum.reduceat(shades, np.arange(0, len(shades), width), axis=0)


def _draw_steps(axes: Axes, layer: LayerParity) -> None:
    share = 100 * layer.steps
    axes.plot(np.arange(len(share)), share, color=INK, linewidth=1.2, marker=".", markersize=4)
    axes.set_ylim(bottom=0, top=max(1.05 * float(share.max()), 0.1))
    if layer.first is not None:
        axes.axvline(layer.first.step, color=ACCENT, linewidth=1.2)
        axes.set_title(
            f"first in step {layer.first.step} ({layer.first.stimulus})", loc="left", fontsize=8.5, color=ACCENT
        )
    axes.set_ylabel("% differing", color=QUIET, fontsize=8)
    axes.tick_params(labelsize=8, colors=QUIET)
