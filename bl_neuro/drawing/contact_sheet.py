"""Draws all inversions of one attack in one figure, each under the name of its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.drawing.figure import new_figure
from bl_neuro.drawing.picture import INK, ORANGE, QUIET, RULE, Picture, listed, rendered
from bl_neuro.drawing.pixels import CHANNELS, colours, stretched
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import labels_of, numbers, positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE, GAP, NAME, READING, FOOT = 0.8, 0.08, 0.2, 0.17, 0.22
"""Inches: width of a tile, between two, the class above it, the evaluator's reading below it, the caption."""
MOST_TILES = 2000
LONGEST_NAME = 13


def contact_sheet(
    images: npt.ArrayLike,
    classes: npt.ArrayLike,
    class_names: Sequence[str] | None = None,
    *,
    readings: Sequence[int | None] | None = None,
    reader: str = "the evaluator",
    columns: int = 10,
) -> Picture:
    """Images (K, C, H, W) in rows of `columns`, each under the name of its class (K,).

    The contrast of each image is stretched, since the brightness of inversions is not calibrated. One channel is drawn
    as ink, two as events (ON in blue, OFF in orange), three as RGB; for more channels, the mean is drawn. readings: the
    class (K,) that `reader` assigns to each image, written below it, with an arrow if it is another class.

    Raises:
        InputError: shapes, classes or names do not match.
    """
    pictures = numbers(images, "images")
    if pictures.ndim != 4 or 0 in pictures.shape:
        raise InputError(f"images: expected (K, C, H, W), found {pictures.shape}")
    count = len(pictures)
    if count > MOST_TILES:
        raise InputError(f"images: expected at most {MOST_TILES}, found {count}")
    labels = labels_of(classes, count, "classes").tolist()
    names = _names(class_names, [*labels, *(label for label in readings or () if label is not None)])
    if readings is not None and len(readings) != count:
        raise InputError(f"readings: expected {count}, found {len(readings)}")
    if pictures.shape[1] not in CHANNELS:
        pictures = pictures.mean(axis=1, keepdims=True)
    across = min(positive(columns, "columns"), count)
    tiles = [_Tile(image, names[label], None, False) for image, label in zip(stretched(pictures), labels)]
    if readings is not None:
        tiles = [
            _Tile(tile.image, tile.name, "none" if reading is None else names[reading], reading == label)
            for tile, label, reading in zip(tiles, labels, readings)
        ]
    return rendered(_figure(tiles, across, reader), _alt(tiles, reader))


class _Tile:
    """One image, the name of its class, and the class assigned to it, or None."""

    def __init__(self, image: FloatArray, name: str, reading: str | None, right: bool) -> None:
        self.image, self.name, self.reading, self.right = image, name, reading, right


def _names(class_names: Sequence[str] | None, labels: Sequence[int]) -> list[str]:
    """The name of every class."""
    if class_names is None:
        return [str(label) for label in range(max(labels) + 1)]
    if max(labels) >= len(class_names):
        raise InputError(f"class_names: expected at least {max(labels) + 1} names, found {len(class_names)}")
    return list(class_names)


def _figure(tiles: Sequence[_Tile], across: int, reader: str) -> Figure:
    tall = TILE * float(np.clip(tiles[0].image.shape[-2] / tiles[0].image.shape[-1], 0.1, 4.0))
    read = tiles[0].reading is not None
    row = NAME + tall + (READING if read else 0.0) + GAP
    rows = -(-len(tiles) // across)
    width, height = max(across * (TILE + GAP) + GAP, 3.2), rows * row + FOOT
    figure = new_figure(width, height)
    for place, tile in enumerate(tiles):
        line, column = divmod(place, across)
        left, below = GAP + column * (TILE + GAP), height - line * row - NAME - tall
        axes = figure.add_axes((left / width, below / height, TILE / width, tall / height))
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=RULE, linewidth=0.5)
        axes.imshow(colours(tile.image), aspect="auto")
        middle = (left + TILE / 2) / width
        text: dict[str, Any] = {"ha": "center", "fontsize": 7, "parse_math": False}
        figure.text(middle, (below + tall + 0.05) / height, _short(tile.name), color=INK, va="bottom", **text)
        if tile.reading is not None:
            reading = _short(tile.reading) if tile.right else f"→ {_short(tile.reading)}"
            colour, weight = (INK, "normal") if tile.right else (ORANGE, "bold")
            figure.text(middle, (below - 0.03) / height, reading, color=colour, fontweight=weight, va="top", **text)
    caption = "Each picture is stretched to its full range." + (f" Below: what {reader} sees." if read else "")
    figure.text(GAP / width, 0.06 / height, caption, fontsize=6, color=QUIET, va="bottom")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _alt(tiles: Sequence[_Tile], reader: str) -> str:
    text = f"Contact sheet of {len(tiles)} inversion{'' if len(tiles) == 1 else 's'} ({listed(t.name for t in tiles)})"
    if tiles[0].reading is None:
        return f"{text}."
    return f"{text}; {reader} takes {sum(tile.right for tile in tiles)} of them for their class."
