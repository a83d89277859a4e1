"""Backends: one adapter for each substrate on which a network can be opened; see `open_target`."""

from __future__ import annotations

if not __name__.startswith("bl_neuro."):
    raise ImportError("import bl_neuro.backends, not backends: this folder is part of the package bl_neuro")

from bl_neuro.backends.base import Backend, Response, Target
from bl_neuro.backends.registry import available_substrates, find_backend, missing_reason, open_target

__all__ = [
    "Backend",
    "Response",
    "Target",
    "available_substrates",
    "find_backend",
    "missing_reason",
    "open_target",
]
