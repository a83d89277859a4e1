"""A substrate in NumPy: bl-neuro's reference, run as it stands."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from bl_neuro.backends import Backend, Response, Target
from bl_neuro.backends.base import Start
from bl_neuro.network import Arithmetic, Network
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
    arithmetic: ClassVar[Arithmetic | None] = "real"
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


class ToyTarget(Target):
    """A network in NumPy."""

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        recording = simulate(self.network, spikes.detach().numpy(), start)
        tensors = [torch.from_numpy(fired).double() for fired in recording.layer_spikes]
        return Response(tensors[-1], torch.from_numpy(recording.membrane), tensors if layers else None)
