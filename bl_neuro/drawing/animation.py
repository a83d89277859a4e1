"""Animated event inversions: a GIF with one tile per inversion, step by step."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import BoolArray
from bl_neuro.drawing.picture import INK, PAPER, QUIET, RULE, listed, shortened, write
from bl_neuro.drawing.pixels import colours, rgb, with_channels
from bl_neuro.drawing.style import data_uri
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import positive
from bl_neuro.matplotlib_fonts import font_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

TILE, GAP, LABEL, FOOT = 112, 8, 16, 22
"""Pixels: the least side of a tile, between two, its name above, step and bar below."""
MOST_PIXELS = 2**28
LEVELS = 5
"""Shades of an event's afterglow."""
LAST_MS = 900


@dataclass(frozen=True, eq=False, repr=False)
class Animation:
    """A looping GIF, which notebooks display. alt: text description."""

    gif: bytes
    alt: str

    def __repr__(self) -> str:
        return f"<Animation: {shortened(self.alt)} ({len(self.gif):,} bytes as GIF)>"

    def _repr_html_(self) -> str:
        return f'<img alt="{escape(self.alt)}" src="{data_uri(self.gif, "image/gif")}">'

    def save(self, path: str | Path) -> Path:
        """Writes the GIF to `path`, atomically. Raises ReportError if that fails."""
        write(Path(path), self.gif)
        return Path(path)


def event_animation(
    spikes: npt.ArrayLike,
    names: Sequence[str] | None = None,
    *,
    columns: int = 5,
    step_ms: int = 80,
    trail: float = 0.5,
) -> Animation:
    """Draws spikes (T, K, H, W) or (T, K, C, H, W), 0 or 1, C of 1 to 3, as K tiles with `columns` per row.

    Two channels are events: ON (channel 1) in blue, OFF (channel 0) in orange, both together dark. names: K titles of
    the tiles. step_ms: duration of a step, at least 20 (viewers slow down shorter ones); the last step lasts longer.
    trail: fraction of a spike's darkness that remains one step later, 0 to below 1.

    Raises:
        InputError: values other than 0 and 1, an invalid shape or option, or more than 2^28 pixels in total.
    """
    bins = with_channels(np.asarray(spikes), 2, "spikes")
    if bins.dtype.kind not in "biuf" or not ((bins == 0) | (bins == 1)).all():
        raise InputError(f"spikes: expected only 0 and 1, found other values ({bins.dtype})")
    steps, count, _, height, width = bins.shape
    labels = [str(place) for place in range(count)] if names is None else list(names)
    if len(labels) != count:
        raise InputError(f"names: expected {count}, found {len(labels)}")
    if positive(step_ms, "step_ms") < 20:
        raise InputError(f"step_ms: expected at least 20 ms, found {step_ms}")
    if not 0 <= trail < 1:
        raise InputError(f"trail: expected a value from 0 to below 1, found {trail}")
    sheet = _Sheet(height, width, count, min(positive(columns, "columns"), count))
    if steps * sheet.width * sheet.height > MOST_PIXELS:
        raise InputError(f"spikes: expected at most 2^28 pixels, found {steps} frames of {sheet.width}x{sheet.height}")
    alt = _alt(bins, labels)
    return Animation(_gif(sheet, bins.astype(bool), labels, step_ms, trail, alt), alt)


@dataclass(frozen=True)
class _Sheet:
    """Layout of the tiles."""

    tile_height: int
    tile_width: int
    count: int
    columns: int

    @property
    def scale(self) -> int:
        return max(1, -(-TILE // max(self.tile_height, self.tile_width)))

    @property
    def width(self) -> int:
        return self.columns * (self.tile_width * self.scale + GAP) + GAP

    @property
    def height(self) -> int:
        lines = -(-self.count // self.columns)
        return lines * (LABEL + self.tile_height * self.scale + GAP) + FOOT

    def corner(self, place: int) -> tuple[int, int]:
        """Top and left position of a tile."""
        line, column = divmod(place, self.columns)
        top = LABEL + line * (LABEL + self.tile_height * self.scale + GAP)
        return top, GAP + column * (self.tile_width * self.scale + GAP)


def _gif(sheet: _Sheet, fired: BoolArray, names: Sequence[str], step_ms: int, trail: float, alt: str) -> bytes:
    from PIL.Image import Dither

    palette = _palette(fired.shape[2])
    first, *rest = (
        frame.quantize(palette=palette, dither=Dither.NONE) for frame in _frames(sheet, fired, names, trail)
    )
    lasting = [step_ms] * len(rest) + [max(step_ms, LAST_MS)]
    held = io.BytesIO()
    first.save(
        held, format="GIF", save_all=True, append_images=rest, duration=lasting, loop=0, optimize=False,
        comment=alt.encode("ascii", "replace"),
    )  # fmt: skip
    return held.getvalue()


def _frames(sheet: _Sheet, fired: BoolArray, names: Sequence[str], trail: float) -> Iterator[Image]:
    from PIL import Image, ImageDraw

    font, small = _font(11), _font(9)
    paper = Image.new("RGB", (sheet.width, sheet.height), PAPER)
    pen = ImageDraw.Draw(paper)
    tall, wide = sheet.tile_height * sheet.scale, sheet.tile_width * sheet.scale
    for place, name in enumerate(names):
        top, left = sheet.corner(place)
        pen.text((left, top - LABEL + 1), _fitting(name, font, wide), fill=INK, font=font)
        pen.rectangle((left - 1, top - 1, left + wide, top + tall), outline=RULE)
    glow = np.zeros(fired.shape[1:])
    for step, now in enumerate(fired):
        glow = np.maximum(now, trail * glow)
        tiles = colours(np.rint(glow * LEVELS) / LEVELS).repeat(sheet.scale, axis=1).repeat(sheet.scale, axis=2)
        frame = paper.copy()
        for place, tile in enumerate(tiles):
            top, left = sheet.corner(place)
            frame.paste(Image.fromarray(tile), (left, top))
        _draw_clock(ImageDraw.Draw(frame), sheet, step, len(fired), small)
        yield frame


def _draw_clock(pen: Any, sheet: _Sheet, step: int, steps: int, font: FreeTypeFont) -> None:
    """Draws a bar that fills from left to right, and the number of the step."""
    label = f"step {step + 1} of {steps}"
    left = GAP + int(font.getlength(f"step {steps} of {steps}")) + GAP
    right, middle = sheet.width - GAP, sheet.height - FOOT // 2
    pen.text((GAP, middle), label, fill=QUIET, font=font, anchor="lm")
    if right > left:
        pen.rectangle((left, middle - 1, right, middle + 1), fill=RULE)
        pen.rectangle((left, middle - 1, left + (right - left) * (step + 1) // steps, middle + 1), fill=QUIET)


def _palette(channels: int) -> Image:
    """All shades, shared by all frames so that nothing is dithered: first of events, then of text."""
    from PIL import Image

    shades = np.linspace(0, 1, LEVELS + 1)
    mixed = np.stack(np.meshgrid(*[shades] * channels, indexing="ij"), -1).reshape(-1, channels, 1, 1)
    events = colours(mixed).reshape(-1, 3)
    text = [1 - depth * (1 - rgb(colour)) for colour in (INK, QUIET) for depth in shades] + [rgb(RULE)]
    table = np.concatenate([events, np.rint(255 * np.array(text)).astype(np.uint8)])
    palette = Image.new("P", (1, 1))
    palette.putpalette(table.tobytes())
    return palette


def _font(size: int) -> FreeTypeFont:
    """The typeface included in Matplotlib, so that figures look the same on every machine."""
    from PIL import ImageFont

    return ImageFont.truetype(str(font_file("DejaVuSans")), size)


def _fitting(name: str, font: FreeTypeFont, width: int) -> str:
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(f"{name}…") > width:
        name = name[:-1]
    return f"{name}…"


def _alt(bins: npt.NDArray[Any], names: Sequence[str]) -> str:
    steps, count, channels = bins.shape[:3]
    kind = " Blue is ON, orange OFF." if channels == 2 else ""
    return (
        f"Animation of {count} inversion{'' if count == 1 else 's'} ({listed(names)}) over {steps} steps, "
        f"{np.count_nonzero(bins) / bins.size:.1%} of bins with a spike.{kind}"
    )
