"""Makes Matplotlib figures, also where Matplotlib alone does not import: without a home folder."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS_FOLDER = "MPLCONFIGDIR"
"""Environment variable that names Matplotlib's folder for its settings and its cache."""


def new_figure(width: float, height: float, *, constrained: bool = False) -> Figure:
    """An empty figure without a window. width, height: in inches. constrained: lay out without overlaps."""
    _have_settings_folder()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained" if constrained else None)


def _have_settings_folder() -> None:
    """Gives Matplotlib a temporary folder if it would find none, since its import then fails."""
    if os.environ.get(SETTINGS_FOLDER) or os.environ.get("XDG_CONFIG_HOME"):
        return
    try:
        Path.home()
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="bl-neuro-matplotlib-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[SETTINGS_FOLDER] = folder
