"""The names of the classes, printed: what an attacker shows who knows what the classes are called."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bl_neuro.leakage.baseline_framing import FRAMES, framed
from bl_neuro.leakage.baseline_kind import Baseline, Images, PublicKnowledge, in_all_channels
from bl_neuro.matplotlib_fonts import font_file

FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralItalic",
    "cmr10",
)
"""Fonts that matplotlib ships."""
FEWEST = 2
"""Fewest fonts with all characters, since the interval is over fonts."""
POINTS = 160
"""Size of the font before the character is scaled to the image."""


class PrintedFonts(Baseline):
    """The single character that names each class, bright on dark, in each font of matplotlib that has all of them.

    One rendering is one font. Source of the fonts: matplotlib, `mpl-data/fonts/ttf`.
    """

    name: ClassVar[str] = "fonts"
    title: ClassVar[str] = "printed fonts"
    knowledge: ClassVar[str] = "which character each class is, bright on a dark background"
    layouts: ClassVar[tuple[str, ...]] = FRAMES

    def problem(self, public: PublicKnowledge) -> str | None:
        """See `Baseline.problem`."""
        names = [name.strip() for name in public.class_names]
        if not names or not all(len(name) == 1 and name.isprintable() for name in names):
            return "the names of the classes are not single characters"
        if len(_fonts_with("".join(names))) < FEWEST:
            return f"fewer than {FEWEST} of matplotlib's fonts have all characters"
        return None

    def draw(self, public: PublicKnowledge, layout: str, rng: np.random.Generator) -> Images:
        """See `Baseline.draw`. Deterministic."""
        channels, height, width = public.shape
        names = [name.strip() for name in public.class_names]
        pictures = [
            [framed(_character(name, path), layout, height, width) for name in names]
            for path in _fonts_with("".join(names))
        ]
        return in_all_channels(np.asarray(pictures, dtype=np.float32), channels)


def _fonts_with(characters: str) -> list[Path]:
    """The files of the fonts that have all of `characters`."""
    from fontTools.ttLib import TTFont

    needed, able = set(map(ord, characters)), []
    for path in map(font_file, FONTS):
        with TTFont(path, lazy=True) as font:
            able += [path] if needed <= font.getBestCmap().keys() else []
    return able


def _character(name: str, path: Path) -> npt.NDArray[np.float32]:
    """A character as a picture (h, w) in 0..1, bright on dark."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(path), POINTS)
    picture = Image.new("L", (3 * POINTS, 3 * POINTS), 0)
    ImageDraw.Draw(picture).text((POINTS, POINTS), name, fill=255, font=font)
    return np.asarray(picture, dtype=np.float32) / 255
