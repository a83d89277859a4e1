"""Networks with coarser weights: what is left of one, and of what it gives away, with fewer bits a weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.checks import whole_number
from bl_neuro.deploy.quantize import quantize
from bl_neuro.errors import InputError
from bl_neuro.layers import SPIKING, Input
from bl_neuro.network import Network

FEWEST, MOST = 2, 8


def with_weight_bits(network: Network, bits: int) -> Network:
    """`network` with weights of 2^bits - 1 levels a layer, evenly spaced and symmetric around 0.

    bits: 2..8, the sign among them; Loihi's own weights have 8. The step of a layer is its largest weight / (2^(bits -
    1) - 1), weights w become step * round(w / step). Of a network in Loihi's arithmetic the step is the power of two
    at which the layer's even integers have so many levels.

    Raises:
        InputError: other bits. Unsupported: the network has no fixed-point form.
    """
    count = whole_number(bits)
    if count is None or not FEWEST <= count <= MOST:
        raise InputError(f"bits: expected a whole number in {FEWEST}..{MOST}, found {bits!r}")
    levels = 2 ** (count - 1) - 1
    stated = network.arithmetic == "loihi"
    layers = [
        replace(layer, weight=_coarser(layer.weight, levels, stated))
        if isinstance(layer, SPIKING) and not isinstance(layer, Input)
        else layer
        for layer in network.layers
    ]
    coarse = Network(network.input_shape, layers, network.readout, network.arithmetic)
    quantize(coarse)  # refuses what Loihi cannot hold
    return coarse


def _coarser(weight: FloatArray, levels: int, stated: bool) -> FloatArray:
    largest = float(np.abs(weight).max())
    if largest == 0:
        return weight
    step = largest / levels
    if stated:
        step = 2.0 ** np.ceil(np.log2(max(step, 2.0)))
    return np.asarray(np.clip(np.round(weight / step), -levels, levels) * step)
