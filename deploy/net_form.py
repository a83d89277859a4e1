"""The form of a network that netx can hold: no pooling, no biases of currents, and Loihi's integers."""

from __future__ import annotations

from bl_neuro.deploy.bias_neurons import with_bias_neurons
from bl_neuro.deploy.folded_pooling import with_folded_pooling
from bl_neuro.deploy.quantize import FixedPointNetwork, quantize
from bl_neuro.errors import Unsupported
from bl_neuro.network import Network


def quantized_net_form(network: Network) -> FixedPointNetwork:
    """What `bl.save` writes to a `.net` file.

    Raises:
        Unsupported: a layer has no such form. Where layers were folded or added, the message lists them.
    """
    form = with_bias_neurons(with_folded_pooling(network))
    try:
        return quantize(form)
    except Unsupported as error:
        if form is network:
            raise
        listed = ", ".join(f"{index}: {layer}" for index, layer in enumerate(form.layers))
        raise Unsupported(f"{error}. The layers after folding are {listed}") from error
