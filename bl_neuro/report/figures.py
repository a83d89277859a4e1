"""The pictures of a report, as bytes: charts as SVG by Matplotlib, inversions as greyscale PNG.

Charts are drawn once for every theme and width, since a picture inside a page takes neither from the page.
Equal results give equal bytes.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bl_neuro.report.pictures import Floats
from bl_neuro.report.schema import Control, Results, Row
from bl_neuro.report.words import CONTROLS, access_label, attack_label, chance_label, interval, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"
MARKERS = ("o", "s", "^", "D", "v", "P")
LONGEST = 24  # characters of a name; "control: shuffled labels" just fits
WIDE, NARROW = 9.2, 3.75  # inches of 96 pixels, the widths of the page's text on a desk and on a phone


@dataclass(frozen=True)
class Theme:
    """Colours of a chart: ground, text, quiet text, rules, and one for each substrate in turn."""

    paper: str
    ink: str
    quiet: str
    rule: str
    series: tuple[str, ...]


LIGHT = Theme("#ffffff", "#15181c", "#565f69", "#d9dde2", ("#0b5c9e", "#c4500a", "#0a7d5c", "#9a4580", "#7a6a00"))
DARK = Theme("#121417", "#e9ebee", "#a4adb7", "#343a42", ("#6fb3ec", "#f0935a", "#4fc9a0", "#df9bc8", "#d9c64e"))


@dataclass(frozen=True)
class Drawing:
    """A chart: SVG, and its width and height in CSS pixels."""

    svg: bytes
    width: int
    height: int


def png(picture: Floats) -> bytes:
    """An 8-bit greyscale PNG of one picture (H, W) in 0..1; 0 is white paper and 1 is black ink."""
    ink = np.rint((1.0 - np.clip(picture, 0.0, 1.0)) * 255.0).astype(np.uint8)
    height, width = ink.shape
    lines = b"".join(b"\0" + line.tobytes() for line in ink)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def data_uri(content: bytes, media_type: str) -> str:
    """The content itself as an address, so that a page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def curve_panels(results: Results) -> list[list[Row]]:
    """The rows and controls whose confidence was followed, one list for each attack and view."""
    panels: dict[tuple[str, str, str | None], list[Row]] = {}
    for row in results.all_rows():
        if row.curve is not None:
            panels.setdefault((row.attack, row.access, row.reveals), []).append(row)
    return list(panels.values())


def confidence_chart(results: Results, theme: Theme = LIGHT, narrow: bool = False) -> Drawing | None:
    """SVG of the evaluator's confidence against queries per class, or None where no row followed it."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = curve_panels(results)
    if not panels:
        return None
    columns = 1 if narrow else min(2, len(panels))
    lines = -(-len(panels) // columns)
    size = (NARROW if narrow else WIDE, (2.9 if narrow else 3.3) * lines + 0.5)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.06))
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True).flatten()
    colours = _series(results, theme)
    handles: dict[str, Any] = {}
    for axes, rows in zip(grid, panels, strict=False):
        for row in rows:
            _draw_curve(axes, row, colours, theme, handles)
        axes.axhline(results.chance, color=theme.quiet, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_title(f"{attack_label(rows[0])} ({access_label(rows[0])})", loc="left", fontsize=9.5, color=theme.ink)
        axes.set_ylim(0.0, 1.02)
        axes.set_xlim(left=0.0)
        axes.set_xlabel("queries per class", color=theme.quiet)
        _dress(axes, theme, "y")
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    grid[0].set_ylabel("evaluator’s mean confidence", color=theme.quiet)
    handles["chance"] = grid[0].lines[-1]
    _legend(figure, handles, theme, columns=2 if narrow else 6)
    return _drawing(figure)


def accuracy_chart(results: Results, theme: Theme = LIGHT, narrow: bool = False) -> Drawing:
    """SVG of every row's and control's attack accuracy with its 95% interval, beside chance."""
    from matplotlib.figure import Figure

    rows = list(results.all_rows())
    size = (NARROW if narrow else WIDE, (0.52 if narrow else 0.3) * len(rows) + 0.75)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        control = isinstance(row, Control)
        colour = theme.quiet if control else theme.ink
        ends = [row.attack_accuracy_low, row.attack_accuracy_high]
        axes.plot(ends, [place, place], color=colour, linewidth=1.6, clip_on=False)
        axes.plot(
            [row.attack_accuracy], [place], "o", color=colour, markersize=6, clip_on=False, zorder=3,
            markerfacecolor=theme.paper if control else colour,
        )  # fmt: skip
    axes.axvline(results.chance, color=theme.quiet, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.annotate(
        f"chance {chance_label(results.chance)}", (results.chance, 1.0), (3, 2), textcoords="offset points",
        xycoords=("data", "axes fraction"), color=theme.quiet, fontsize=8.5,
    )  # fmt: skip
    axes.set_ylim(len(rows) - 0.4, -0.75 if narrow else -0.6)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 0.5, 1.0] if narrow else [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    _dress(axes, theme, "x")
    _name_lines(axes, rows, theme, narrow)
    return _drawing(figure)


def _name_lines(axes: Axes, rows: Sequence[Row], theme: Theme, narrow: bool) -> None:
    """Each row's name and value: left and right of its line, or above it where the page is narrow."""
    names = [f"{_short(row.substrate)}: {_kind(row)}" for row in rows]
    values = [f"{percent(row.attack_accuracy)} ({interval(row)})" for row in rows]
    if narrow:
        axes.set_yticks([])
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            for text, x, side in ((name, 0.0, "left"), (value, 1.0, "right")):
                axes.annotate(
                    text, (x, place), (0, 7), textcoords="offset points", ha=side, fontsize=8.5,
                    color=theme.ink, parse_math=False,
                    bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1},
                )  # fmt: skip
        return
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    right.set_yticks(range(len(rows)), values)
    _dress(right, theme, None)
    for half in (axes, right):
        half.tick_params(axis="y", labelcolor=theme.ink)


def _short(name: str) -> str:
    """The name, cut where it would leave no room for the chart."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _kind(row: Row) -> str:
    return attack_label(row) + (f", {CONTROLS[row.kind]}" if isinstance(row, Control) else "")


def curve_description(rows: Sequence[Row]) -> str:
    """What one panel of the confidence chart shows, for those who cannot see it."""
    said = []
    for row in rows:
        if row.curve is not None:
            name = f"control, {row.substrate}" if isinstance(row, Control) else row.substrate
            first, last = row.curve.confidence[0], row.curve.confidence[-1]
            queries = f"{row.curve.queries[0]:,.0f} to {row.curve.queries[-1]:,.0f}"
            said.append(f"{name} goes from {first:.2f} to {last:.2f} over {queries} queries")
    return f"{attack_label(rows[0])}: {'; '.join(said)}."


def _series(results: Results, theme: Theme) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each substrate, by order of appearance."""
    names = list(dict.fromkeys(row.substrate for row in results.all_rows()))
    return {name: (theme.series[i % len(theme.series)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}


def _draw_curve(
    axes: Axes, row: Row, colours: dict[str, tuple[str, str]], theme: Theme, handles: dict[str, Any]
) -> None:
    """One line with its band; a control is drawn in grey and dashed, with its substrate's marker."""
    curve = row.curve
    if curve is None:
        return
    colour, marker = colours[row.substrate]
    control = isinstance(row, Control)
    name = f"control: {CONTROLS[row.kind]}" if isinstance(row, Control) else row.substrate
    colour = theme.quiet if control else colour
    (line,) = axes.plot(
        curve.queries, curve.confidence, color=colour, marker=marker, markersize=4, linewidth=1.6,
        linestyle=(0, (4, 2)) if control else "-", markevery=max(1, len(curve.queries) // 8),
        markerfacecolor="none" if control else colour,
    )  # fmt: skip
    axes.fill_between(curve.queries, curve.low, curve.high, color=colour, alpha=0.13, linewidth=0)
    handles.setdefault(name, line)


def _dress(axes: Axes, theme: Theme, grid: Literal["x", "y"] | None) -> None:
    """Take away everything that is not data: no box, no ticks, quiet rules along one axis."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=theme.quiet, labelsize=9)
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=theme.rule, linewidth=0.8)


def _legend(figure: Figure, handles: dict[str, Any], theme: Theme, columns: int) -> None:
    legend = figure.legend(
        list(handles.values()),
        # Matplotlib leaves out labels that start with an underscore.
        [f" {name}" if name.startswith("_") else name for name in map(_short, handles)],
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=theme.ink,
        handlelength=2.2,
        columnspacing=1.6,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _drawing(figure: Figure) -> Drawing:
    """The figure as SVG with live text in the page's fonts, transparent, and without a date."""
    import matplotlib

    held = io.BytesIO()
    # The SVG writer reads these two from the settings only; the context puts the caller's back.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bl-neuro"}):
        figure.savefig(
            held, format="svg", transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )  # fmt: skip
    svg = re.sub(rb"'DejaVu Sans'[^;\"]*", FONT.encode("ascii"), held.getvalue())
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Drawing(svg, width, height)
