"""Conversion of models: modules of snnTorch, Norse and SLAYER, state dicts, and NIR files in both directions.

Every converter documents the neurons it supports and refuses what it cannot convert exactly, naming the layer and the
reason. By default a converted module is compared with its network bin by bin for 30 time steps; differences that occur
only later are not detected (`bl_neuro.interop.checked`).
"""

from bl_neuro.interop.norse_modules import from_norse
from bl_neuro.interop.slayer_modules import from_slayer
from bl_neuro.interop.snntorch_modules import from_snntorch
from bl_neuro.interop.state_dicts import from_state_dict

__all__ = ["from_norse", "from_slayer", "from_snntorch", "from_state_dict"]
