"""The main figure: class means of the training data, and below them the reconstructions of each attack."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.drawing.figure import new_figure
from bl_neuro.drawing.picture import INK, ORANGE, QUIET, RULE, Picture, listed, rendered
from bl_neuro.drawing.pixels import colours, stretched, with_channels
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import labels_of, numbers, positive

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL, GAP, NAMES, TOP, ANSWER, FOOT, LINE = 0.62, 0.05, 1.25, 0.22, 0.17, 0.17, 0.13
"""Inches: width of a picture, between two, names of rows, of columns, evaluator's word, caption, a line more of it."""
MOST_PICTURES = 2000
CLASS_MEAN = "class mean"


def reconstruction_grid(
    class_means: npt.ArrayLike,
    inversions: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    class_names: Sequence[str] | None = None,
    *,
    answers: Mapping[str, npt.ArrayLike] | None = None,
    columns: int = 10,
    ink: bool = True,
) -> Picture:
    """Class means (classes, H, W) or (classes, C, H, W), and below them one row per attack.

    inversions: by name of the attack, images (K, H, W) or (K, C, H, W) with their classes (K,). The first image of each
    class is drawn, so that there is no selection. The contrast of each image is stretched, since the brightness of
    inversions is not calibrated. answers: under the same names, the class (K,) that an evaluator assigns to each image,
    written below it, with an arrow if it is another class. columns: number of classes per row; further ones continue
    below. ink: False draws 1 as white, for photographs.

    Raises:
        InputError: shapes, classes or names do not match.
    """
    means = with_channels(numbers(class_means, "class_means"), 1, "class_means")
    names = [str(place) for place in range(len(means))] if class_names is None else list(class_names)
    if len(names) != len(means):
        raise InputError(f"class_names: expected {len(means)} names, one per class, found {len(names)}")
    verdicts = dict(answers or {})
    if unknown := set(verdicts) - set(inversions):
        raise InputError(f"answers: expected names that occur in inversions, found {sorted(unknown)}")
    across = min(positive(columns, "columns"), len(means))
    rows = {CLASS_MEAN: _Row(means, np.arange(len(means)), None)}
    for name, (images, classes) in inversions.items():
        if name == CLASS_MEAN:
            raise InputError(f"inversions: the name {name!r} is reserved for the first row")
        rows[name] = _Row.checked(name, images, classes, means, verdicts.get(name))
    if len(rows) * len(means) > MOST_PICTURES:
        raise InputError(f"inversions: expected at most {MOST_PICTURES} pictures, found {len(rows) * len(means)}")
    return rendered(_figure(rows, names, across, ink), _alt(rows, names))


class _Row:
    """One row of the grid: the image of each class, if there is one, and the class that an evaluator assigns to it."""

    def __init__(self, images: FloatArray, classes: IntArray, answers: IntArray | None) -> None:
        self.images, self.classes, self.answers = stretched(images), classes, answers

    @classmethod
    def checked(
        cls, name: str, images: npt.ArrayLike, classes: npt.ArrayLike, means: FloatArray, answers: npt.ArrayLike | None
    ) -> _Row:
        pictures = with_channels(numbers(images, f"inversions {name!r}"), 1, f"inversions {name!r}")
        if pictures.shape[1:] != means.shape[1:]:
            raise InputError(
                f"inversions {name!r}: expected images of shape {means.shape[1:]}, found {pictures.shape[1:]}"
            )
        count = len(pictures)
        own = labels_of(classes, count, f"classes of {name!r}")
        if own.max() >= len(means):
            raise InputError(f"classes of {name!r}: expected 0..{len(means) - 1}, found {own.max()}")
        labels = None if answers is None else labels_of(answers, count, f"answers for {name!r}")
        if labels is not None and labels.max() >= len(means):
            raise InputError(f"answers for {name!r}: expected 0..{len(means) - 1}, found {labels.max()}")
        return cls(pictures, own, labels)

    def first_of(self, label: int) -> int | None:
        places = np.flatnonzero(self.classes == label)
        return int(places[0]) if len(places) else None


class _Layout:
    """Positions in inches from the lower left; `at` converts them to fractions of the figure."""

    def __init__(self, rows: Mapping[str, _Row], classes: int, across: int, caption: str) -> None:
        means = rows[CLASS_MEAN].images
        self.across = across
        self.tall = CELL * float(np.clip(means.shape[-2] / means.shape[-1], 0.25, 4.0))
        heights = [self.tall + GAP + (ANSWER if row.answers is not None else 0.0) for row in rows.values()]
        self.tops = dict(zip(rows, np.cumsum([0.0, *heights[:-1]]).tolist()))
        self.block = TOP + sum(heights) + 2 * GAP
        self.width = NAMES + across * (CELL + GAP) + GAP
        self.height = -(-classes // across) * self.block + FOOT + LINE * caption.count("\n")

    def top_left(self, label: int) -> tuple[float, float]:
        """Top left position of the first image of a class."""
        block, column = divmod(label, self.across)
        return self.height - block * self.block - TOP, NAMES + column * (CELL + GAP)

    def at(self, left: float, below: float) -> tuple[float, float]:
        return left / self.width, below / self.height


def _figure(rows: Mapping[str, _Row], names: Sequence[str], across: int, ink: bool) -> Figure:
    with_answers = any(row.answers is not None for row in rows.values())
    caption = textwrap.fill(_caption(with_answers), int(23 * (NAMES + across * (CELL + GAP))))
    layout = _Layout(rows, len(names), across, caption)
    figure = new_figure(layout.width, layout.height)
    for label, class_name in enumerate(names):
        top, left = layout.top_left(label)
        middle, above = layout.at(left + CELL / 2, top + 0.05)
        figure.text(middle, above, _short(class_name), ha="center", fontsize=7.5, color=INK, parse_math=False)
        for name, row in rows.items():
            below = top - layout.tops[name] - layout.tall
            if label % across == 0:
                _name_row(figure, layout.at(left - 0.1, below + layout.tall / 2), name)
            axes = figure.add_axes((*layout.at(left, below), *layout.at(CELL, layout.tall)))
            _show(axes, row, label, names, ink)
    figure.text(*layout.at(0.1, 0.06), caption, fontsize=6.5, color=QUIET, va="bottom")
    return figure


def _name_row(figure: Figure, place: tuple[float, float], name: str) -> None:
    colour = QUIET if name == CLASS_MEAN else INK
    text = textwrap.fill(name, 16)
    figure.text(*place, text, ha="right", va="center", fontsize=7.5, color=colour, parse_math=False)


def _show(axes: Axes, row: _Row, label: int, names: Sequence[str], ink: bool) -> None:
    """Draws one framed image, with the answer of the evaluator below it."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=RULE, linewidth=0.5)
    place = row.first_of(label)
    if place is None:
        axes.text(0.5, 0.5, "none", ha="center", va="center", fontsize=6.5, color=QUIET, transform=axes.transAxes)
        return
    axes.imshow(colours(row.images[place], ink), aspect="auto")
    if row.answers is None:
        return
    answer = int(row.answers[place])
    text = _short(names[answer]) if answer == label else f"→ {_short(names[answer])}"
    axes.annotate(
        text, (0.5, 0.0), (0, -2.5), xycoords="axes fraction", textcoords="offset points", ha="center", va="top",
        fontsize=6.5, color=INK if answer == label else ORANGE, fontweight="normal" if answer == label else "bold",
        parse_math=False,
    )  # fmt: skip


def _short(name: str, longest: int = 11) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _caption(with_answers: bool) -> str:
    caption = "Each picture is stretched to its full range. The first inversion of each class is shown."
    return caption + (
        " Below it, the class an evaluator takes it for; → where that is another." if with_answers else ""
    )


def _alt(rows: Mapping[str, _Row], names: Sequence[str]) -> str:
    """Text description of the grid; with an evaluator, how many of the images it recognises."""
    parts = [f"Grid of pictures, a column for each of {len(names)} classes ({listed(names)}): the class means"]
    for name, row in rows.items():
        if name == CLASS_MEAN:
            continue
        shown = [place for label in range(len(names)) if (place := row.first_of(label)) is not None]
        part = f"reconstructions by {name}"
        if row.answers is not None:
            right = int((row.answers[shown] == row.classes[shown]).sum())
            part += f", {right} of {len(shown)} recognised by the evaluator"
        parts.append(part)
    return "; ".join(parts) + "."
