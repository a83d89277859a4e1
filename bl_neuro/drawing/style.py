"""Colours and markers of all figures, and file formats."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Theme:
    """Colours of a chart: background, text, secondary text, grid lines, and one colour per series."""

    paper: str
    ink: str
    quiet: str
    rule: str
    series: tuple[str, ...]


LIGHT = Theme("#ffffff", "#15181c", "#565f69", "#d9dde2", ("#0b5c9e", "#c4500a", "#0a7d5c", "#9a4580", "#7a6a00"))


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG of grey values (H, W) or RGB values (H, W, 3)."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def data_uri(content: bytes, media_type: str) -> str:
    """`content` as a data URI, to embed it in a page."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
