"""Substrates in NumPy: bl-neuro's reference, as it stands and with an arithmetic of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends import Backend, Response, Target
from bl_neuro.backends.declaration import Start
from bl_neuro.layers import Conv, Dense
from bl_neuro.network import Network
from bl_neuro.reference import simulate


class ToyBackend(Backend):
    """Opens networks in NumPy. It has no options and no gradients."""

    name: ClassVar[str] = "toy"
    title: ClassVar[str] = "toy"
    summary: ClassVar[str] = "the reference in NumPy, black box only"
    modules: ClassVar[tuple[str, ...]] = ("numpy",)
    requirement: ClassVar[str] = "toy-bl-neuro"
    packages: ClassVar[tuple[str, ...]] = ("toy-bl-neuro",)
    differentiable: ClassVar[bool] = False
    arithmetic: ClassVar[str | None] = "real"
    uses_torch_threads: ClassVar[bool] = False

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """Delays and recurrent synapses, and networks in Loihi's integers."""
        if network.arithmetic != "real":
            return ["layer 0: weight: expected real numbers, found Loihi's integers"]
        return [
            f"layer {index}: {wiring}: the reference has none"
            for index, layer in enumerate(network.layers)
            for wiring in ("delay", "recurrent")
            if getattr(layer, wiring, None) is not None
        ]

    @classmethod
    def open(cls, network: Network, **options: Any) -> Target:
        """Opens `network`."""
        return ToyTarget(network, cls, **options)


class ToyEighthsBackend(ToyBackend):
    """Opens networks in NumPy, with weights rounded to multiples of 1/8."""

    name: ClassVar[str] = "toy_eighths"
    title: ClassVar[str] = "toy eighths"
    summary: ClassVar[str] = "the reference in NumPy, with weights in eighths"
    arithmetic: ClassVar[str | None] = "toy_eighths"
    arithmetic_title: ClassVar[str | None] = "weights of whole eighths"

    @classmethod
    def open(cls, network: Network, **options: Any) -> Target:
        """Opens `network`."""
        layers = [
            replace(layer, weight=np.round(8 * layer.weight) / 8) if isinstance(layer, (Dense, Conv)) else layer
            for layer in network.layers
        ]
        rounded = Network(network.input_shape, layers, network.readout, network.arithmetic)
        return ToyTarget(rounded, cls, **options)


class ToyTarget(Target):
    """A network in NumPy."""

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        recording = simulate(self.network, spikes.detach().numpy(), start)
        tensors = [torch.from_numpy(fired).double() for fired in recording.layer_spikes]
        return Response(tensors[-1], torch.from_numpy(recording.membrane), tensors if layers else None)
