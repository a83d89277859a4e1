"""Networks that take currents of another range than pixels have, made to take pixels."""

from __future__ import annotations

from dataclasses import replace

from bl_neuro.errors import InputError
from bl_neuro.layers import Input
from bl_neuro.network import Network


def with_input_range(network: Network, low: float, high: float) -> Network:
    """`network`, which takes currents low..high, as one that takes 0..1: x becomes low + (high - low) x.

    Exact: its input neurons' weight w and bias b become (high - low) w and b + low w.

    Raises:
        InputError: it takes spikes, or low is high.
    """
    first = network.layers[0]
    if not isinstance(first, Input):
        raise InputError("input_range: only for a network with input neurons, which takes currents; this takes spikes")
    if low == high:
        raise InputError(f"input_range: expected two values that differ, found {low} and {high}")
    changed = replace(first, weight=(high - low) * first.weight, bias=first.bias + low * first.weight)
    return Network(network.input_shape, [changed, *network.layers[1:]], network.readout, network.arithmetic)
