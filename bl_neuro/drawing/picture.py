"""A finished figure as bytes with a text description, and the rendering of Matplotlib figures."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import quoteattr

from bl_neuro.drawing.style import LIGHT
from bl_neuro.errors import ReportError
from bl_neuro.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 200
PAPER, INK, QUIET, RULE = LIGHT.paper, LIGHT.ink, LIGHT.quiet, LIGHT.rule
BLUE, ORANGE, *_ = SERIES = (*LIGHT.series, INK)
"""Lines in turn, in the report's colours. Apart in lightness as well as in hue; each has a marker of its own too."""


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A figure as PNG and SVG, which notebooks display. alt: text description, also stored in both files."""

    png: bytes
    svg: bytes
    alt: str

    def __repr__(self) -> str:
        return f"<Picture: {shortened(self.alt)} ({len(self.png):,} bytes as PNG)>"

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, stem: str | Path) -> tuple[Path, Path]:
        """Writes `stem`.png and `stem`.svg, each atomically. Returns their paths.

        Raises:
            ReportError: a file cannot be written.
        """
        written = []
        for suffix, content in ((".png", self.png), (".svg", self.svg)):
            path = Path(f"{stem}{suffix}")
            write(path, content)
            written.append(path)
        return written[0], written[1]


def write(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, atomically. Raises ReportError if that fails."""
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ReportError(f"{path}: expected a file that can be written ({error})") from error


def rendered(figure: Figure, alt: str) -> Picture:
    """Renders the figure in both formats, on white and without a date. SVG text stays text; pixels are not smoothed."""
    import matplotlib

    png, svg = io.BytesIO(), io.BytesIO()
    facts = {"Description": alt, "Software": None}
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER, metadata=facts)
    # The SVG writer reads these two from the settings only; the context puts the caller's back.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bl-neuro"}):
        nameless = {"Date": None, "Creator": None, "Format": None, "Type": None, "Title": alt}
        figure.savefig(svg, format="svg", dpi=DOTS_PER_INCH, facecolor=PAPER, metadata=nameless)
    named = f'<svg role="img" aria-label={quoteattr(alt)} '.encode()
    return Picture(png.getvalue(), svg.getvalue().replace(b"<svg ", named, 1), alt)


def dress(axes: Axes, grid: Literal["x", "y"] | None = None) -> None:
    """Removes frame and ticks from the axes, and draws light grid lines along the axis `grid`."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=QUIET, labelsize=8)
    if grid is not None:
        axes.set_axisbelow(True)
        axes.grid(axis=grid, color=RULE, linewidth=0.7)


def shortened(text: str, most: int = 100) -> str:
    """`text`, truncated to at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Iterable[str], most: int = 12) -> str:
    """The first `most` names, comma-separated."""
    every = list(names)
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")
