"""Rejects black boxes that reveal the spikes of outputs that never spike."""

from __future__ import annotations

from bl_neuro.backends.registry import substrates_with
from bl_neuro.deploy.loihi_limits import never_spikes
from bl_neuro.errors import InputError
from bl_neuro.network import Network


def need_spiking_outputs(network: Network, reveals: object) -> None:
    """Raises InputError if a black box would reveal spikes of outputs that only integrate.

    Lava-DL exports networks with such outputs. Their class is read from the membrane potential.
    """
    if reveals in ("spikes", "counts") and network.readout == "membrane" and never_spikes(network):
        raise InputError(
            f"reveals: the outputs of this network never spike, so {reveals} contain no information; its class is "
            "read from the membrane potential. Choose scores, membrane or label, on a substrate that reveals the "
            f"membrane potential ({', '.join(substrates_with('reveals_membrane'))})"
        )
