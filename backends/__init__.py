"""Backends: one adapter for each substrate on which a network can be opened; see `open_target`.

Targets compute with torch; their names are loaded on first use, so that finding a backend needs no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if not __name__.startswith("bl_neuro."):
    raise ImportError("import bl_neuro.backends, not backends: this folder is part of the package bl_neuro")

from bl_neuro.backends.base import Backend
from bl_neuro.backends.registry import available_substrates, find_backend, missing_reason, not_installed
from bl_neuro.interrupts import interrupts_held

if TYPE_CHECKING:
    from bl_neuro.backends.opening import open_target
    from bl_neuro.backends.target import Response, Target

_LAZY = {
    "Response": "bl_neuro.backends.target",
    "Target": "bl_neuro.backends.target",
    "open_target": "bl_neuro.backends.opening",
}

__all__ = [
    "Backend",
    "Response",
    "Target",
    "available_substrates",
    "find_backend",
    "missing_reason",
    "not_installed",
    "open_target",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        with interrupts_held():
            return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'bl_neuro.backends' has no attribute {name!r}")
