"""The files of the fonts that Matplotlib ships, found without importing Matplotlib, which needs a home folder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bl_neuro.errors import MissingDependency


def font_file(name: str) -> Path:
    """The file of a font such as "DejaVuSans".

    Raises:
        MissingDependency: Matplotlib is not installed, or has no such font.
    """
    package = find_spec("matplotlib")
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
        if path.is_file():
            return path
    raise MissingDependency(f"font {name}: expected it in Matplotlib's data; install it with: pip install matplotlib")
