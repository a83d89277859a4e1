"""Where downloaded data lies."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BL_NEURO_DATA"


def data_root(root: str | Path | None = None) -> Path | None:
    """The folder that holds the datasets: `root`, or what the environment variable BL_NEURO_DATA says, or None."""
    named = root if root is not None else os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else None
