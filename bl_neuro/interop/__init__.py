"""Conversion of models: modules of snnTorch, Norse and SLAYER, state dicts, and NIR files in both directions.

Every converter documents the neurons it supports and refuses what it cannot convert exactly, naming the layer and the
reason. By default a converted module is compared with its network bin by bin for 30 time steps; differences that occur
only later are not detected (`bl_neuro.interop.checked`).

Converters are loaded on first use, since those of modules need torch and those of files do not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bl_neuro.interrupts import interrupts_held

if TYPE_CHECKING:
    from bl_neuro.interop.norse_modules import from_norse
    from bl_neuro.interop.slayer_modules import from_slayer
    from bl_neuro.interop.snntorch_modules import from_snntorch
    from bl_neuro.interop.state_dicts import from_state_dict

_LAZY = {
    "from_norse": "bl_neuro.interop.norse_modules",
    "from_slayer": "bl_neuro.interop.slayer_modules",
    "from_snntorch": "bl_neuro.interop.snntorch_modules",
    "from_state_dict": "bl_neuro.interop.state_dicts",
}

__all__ = ["from_norse", "from_slayer", "from_snntorch", "from_state_dict"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        with interrupts_held():
            return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'bl_neuro.interop' has no attribute {name!r}")
