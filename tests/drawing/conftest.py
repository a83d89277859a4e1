"""The figure behind a picture, so that tests see what was drawn and not only that something was."""

from __future__ import annotations

from typing import Any

import pytest

from bl_neuro.drawing import courses, grid, raster, reconstructions, waterfall
from bl_neuro.drawing.picture import Picture, rendered


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every Matplotlib figure that is rendered in the test, in order."""
    seen: list[Any] = []

    def keep(figure: Any, alt: str) -> Picture:
        seen.append(figure)
        return rendered(figure, alt)

    for module in (courses, grid, raster, reconstructions, waterfall):
        monkeypatch.setattr(module, "rendered", keep)
    return seen
