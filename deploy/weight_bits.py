"""Networks with coarser weights, to measure accuracy and leakage with fewer bits per weight."""

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
    """`network` with 2^bits - 1 weight levels per layer, evenly spaced and symmetric around 0.

    bits: 2..8, sign included; Loihi's own weights have 8. The step of a layer is its largest |weight| / (2^(bits - 1) -
    1), and a weight w becomes step * round(w / step). For a network in Loihi's arithmetic the step is rounded up to a
    power of two of at least 2, so that the weights stay even integers.

    Raises:
        InputError: bits is not a whole number in 2..8.
        Unsupported: the network has no fixed-point form.
    """
    count = whole_number(bits)
    if count is None or not FEWEST <= count <= MOST:
        raise InputError(f"bits: expected a whole number in {FEWEST}..{MOST}, found {bits!r}")
    levels = 2 ** (count - 1) - 1
    fixed_point = network.arithmetic == "loihi"
    layers = [
        replace(layer, weight=_coarser(layer.weight, levels, fixed_point))
        if isinstance(layer, SPIKING) and not isinstance(layer, Input)
        else layer
        for layer in network.layers
    ]
    coarse = Network(network.input_shape, layers, network.readout, network.arithmetic)
    quantize(coarse)  # raises Unsupported if Loihi cannot hold it
    return coarse


def _coarser(weight: FloatArray, levels: int, fixed_point: bool) -> FloatArray:
    largest = float(np.abs(weight).max())
    if largest == 0:
        return weight
    step = largest / levels
    if fixed_point:
        step = 2.0 ** np.ceil(np.log2(max(step, 2.0)))
    return np.asarray(np.clip(np.round(weight / step), -levels, levels) * step)
