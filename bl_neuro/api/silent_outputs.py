"""Networks whose outputs only integrate: their spikes show nothing."""

from __future__ import annotations

from bl_neuro.backends.registry import substrates_with
from bl_neuro.deploy.loihi_limits import never_spikes
from bl_neuro.errors import InputError
from bl_neuro.network import Network


def need_spiking_outputs(network: Network, reveals: object) -> None:
    """InputError where a black box would reveal the spikes of outputs that never spike, as Lava-DL exports them."""
    if reveals in ("spikes", "counts") and network.readout == "membrane" and never_spikes(network):
        raise InputError(
            f"--reveals: the outputs of this network never spike, so {reveals} show nothing; its class is read from "
            "the membrane: use --reveals scores, membrane or label, on a substrate that shows it "
            f"({', '.join(substrates_with('reveals_membrane'))})"
            f"reveals: the outputs of this network never spike, so {reveals} show nothing; its class is read from "
            "the membrane: choose scores, membrane or label, on a substrate that shows the membrane (not lava)"
        )
