"""Bringing one's own model: modules of snnTorch, Norse and SLAYER, state dicts, and NIR files in and out.

Every converter states which neuron it maps and refuses what it cannot map exactly, naming the layer and the reason.
Converted modules are by default run against the network made of them, bin by bin, for 30 steps: what differs only later
is not seen (`bl_neuro.interop.checked`).
"""

from bl_neuro.interop.norse_modules import from_norse
from bl_neuro.interop.slayer_modules import from_slayer
from bl_neuro.interop.snntorch_modules import from_snntorch
from bl_neuro.interop.state_dicts import from_state_dict

__all__ = ["from_norse", "from_slayer", "from_snntorch", "from_state_dict"]
