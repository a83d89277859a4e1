"""Where downloaded data lies, and where frames made of it are kept."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BL_NEURO_DATA"
CACHE_VARIABLE = "BL_NEURO_CACHE"


def data_root(root: str | Path | None = None) -> Path | None:
    """The folder that holds the datasets: `root`, or what the environment variable BL_NEURO_DATA says, or None."""
    named = root if root is not None else os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None


def cache_folder(cache: str | Path | None = None) -> Path:
    """The folder for caches: `cache`, or BL_NEURO_CACHE, or bl-neuro in XDG_CACHE_HOME or in ~/.cache."""
    named = cache if cache is not None else os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bl-neuro"
