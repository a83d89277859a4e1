"""Networks that floating-point substrates can hold, and how they compute them."""

from __future__ import annotations

from typing import Literal

from bl_neuro.layers import SPIKING, Conv, Dense, Input, Shape
from bl_neuro.network import Network

Precision = Literal["float64", "float32"]
Surrogate = Literal["canonical", "native"]
"""The surrogate gradient: the same on every substrate, or the library's own."""


def threshold_problems(network: Network, library: str) -> list[str]:
    """Thresholds of zero in `network`, which a floating-point substrate cannot hold."""
    return [
        f"layer {index}: threshold 0: {library} divides by it; use 'loihi' or 'lava'"
        for index, layer, _ in spiking_shapes(network)
        if not layer.neuron.threshold.all()
    ]


def sigma_delta_problems(network: Network, library: str) -> list[str]:
    """Why a library of spiking neurons cannot hold a sigma-delta network; the same for all of its layers."""
    index, layer, _ = spiking_shapes(network)[0]
    return [
        f"layer {index}: neuron {type(layer.neuron).__name__}: {library} has no sigma-delta neurons, which send graded "
        "messages in Loihi's integers; use 'loihi' or 'lava'"
    ]


def spiking_shapes(network: Network) -> list[tuple[int, Input | Dense | Conv, Shape]]:
    """Index, layer and neuron shape of every layer with neurons."""
    rows = enumerate(zip(network.layers, network.shapes))
    return [(index, layer, shape) for index, (layer, shape) in rows if isinstance(layer, SPIKING)]
