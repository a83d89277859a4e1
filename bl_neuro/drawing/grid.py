"""Grids of images: one column per class, one row per condition."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.drawing.figure import new_figure
from bl_neuro.drawing.picture import INK, RULE, Picture, listed, rendered
from bl_neuro.drawing.pixels import colours, stretched, with_channels
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers, positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL, GAP, LABEL, TOP = 0.62, 0.05, 1.5, 0.22
"""Inches: width of an image, between two, for the names of rows, above a line of images."""
MOST_IMAGES = 2000


def image_grid(
    rows: Mapping[str, npt.ArrayLike], names: Sequence[str], *, columns: int = 10, ink: bool = True
) -> Picture:
    """Draws one row of images (N, H, W) or (N, C, H, W), C of 1 to 3, for each name in `rows`, all of one shape.

    names: titles of the N columns. columns: maximum number of columns; further ones continue below. ink: False draws 1
    as white, for photographs. The contrast of each image is stretched.

    Raises:
        InputError: no row, or shapes and names that do not match.
    """
    images = {
        name: with_channels(numbers(values, f"images of {name!r}"), 1, f"images of {name!r}")
        for name, values in rows.items()
    }
    shapes = {values.shape for values in images.values()}
    if len(shapes) != 1:
        raise InputError(f"rows: expected images of one shape, found {sorted(shapes) or 'no row'}")
    if (count := len(next(iter(images.values())))) != len(names):
        raise InputError(f"names: expected {count}, found {len(names)}")
    if len(images) * count > MOST_IMAGES:
        raise InputError(f"rows: expected at most {MOST_IMAGES} images, found {len(images) * count}")
    across = min(positive(columns, "columns"), count)
    labels = [name for name in images if name]
    compared = f", a row for each of: {listed(labels)}" if labels else ""
    alt = f"Grid of {len(images) * count} images, a column for each of: {listed(names)}{compared}."
    return rendered(_figure(images, names, across, ink), alt)


def _figure(rows: Mapping[str, FloatArray], names: Sequence[str], across: int, ink: bool) -> Figure:
    shape = next(iter(rows.values())).shape
    tall = CELL * min(max(shape[-2] / shape[-1], 0.25), 4.0)
    left = LABEL if any(rows) else GAP
    block = TOP + len(rows) * (tall + GAP) + GAP
    width, height = left + across * (CELL + GAP), -(-len(names) // across) * block
    figure = new_figure(width, height)
    for place, name in enumerate(names):
        line, column = divmod(place, across)
        top, begin = height - line * block - TOP, left + column * (CELL + GAP)
        figure.text(
            (begin + CELL / 2) / width, (top + 0.05) / height, textwrap.shorten(name, 12, placeholder="…"),
            ha="center", fontsize=7.5, color=INK, parse_math=False,
        )  # fmt: skip
        for number, (row, images) in enumerate(rows.items()):
            below = top - number * (tall + GAP) - tall
            if column == 0 and row:
                figure.text(
                    (left - 0.1) / width, (below + tall / 2) / height, textwrap.fill(row, 22),
                    ha="right", va="center", fontsize=7, color=INK, parse_math=False,
                )  # fmt: skip
            axes = figure.add_axes((begin / width, below / height, CELL / width, tall / height))
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color=RULE, linewidth=0.5)
            axes.imshow(colours(stretched(images[place]), ink), aspect="auto")
    return figure
