"""Targets that need no framework: the NumPy reference as a substrate, and a small ANN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.backends.base import Backend
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.float_target import FloatTarget
from bl_neuro.backends.target import Response, Target
from bl_neuro.layers import Dense, Flatten
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.reference import run_neurons


class ReferenceBackend(Backend):
    """The NumPy reference as a substrate. Subclasses change its declared abilities or the class of its targets."""

    name: ClassVar[str] = "reference"
    title: ClassVar[str] = "bl-neuro's reference"
    summary: ClassVar[str] = "the NumPy reference, for tests"
    modules: ClassVar[tuple[str, ...]] = ("numpy",)
    requirement: ClassVar[str] = "bl-neuro"
    differentiable: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "real"
    target: ClassVar[type[ReferenceTarget] | None] = None

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """Empty, since it can run every network."""
        return []

    @classmethod
    def open(cls, network: Network, **options: Any) -> Target:
        """Opens `network`; there are no options."""
        return (cls.target or ReferenceTarget)(network, cls, **options)


class SpikesOnlyBackend(ReferenceBackend):
    """The same without gradients and membrane potential, like a chip."""

    name = "spikes-only"
    differentiable = False
    reveals_membrane = False


class ReferenceTarget(FloatTarget):
    """Responds like `bl_neuro.reference`, in float64, with the gradients of the canonical surrogate."""

    def __init__(self, network: Network, backend: type[Backend] = ReferenceBackend) -> None:
        super().__init__(network, backend)

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        return response if self.reveals_membrane else replace(response, membrane=None)

    def _neurons(self, index: int, drive: Tensor) -> tuple[Tensor, Tensor]:
        spikes, membrane = run_neurons(
            self._neuron(index),
            drive.detach().numpy(),
            self.network.shapes[index],
            getattr(self.network.layers[index], "recurrent", None),
        )
        return torch.from_numpy(spikes).to(self.dtype), torch.from_numpy(membrane)


class SpikesOnlyTarget(ReferenceTarget):
    """A target of `SpikesOnlyBackend`."""

    def __init__(self, network: Network, backend: type[Backend] = SpikesOnlyBackend) -> None:
        super().__init__(network, backend)


def easy_network(classes: int = 3, inputs_each: int = 4) -> Network:
    """A network in which `inputs_each` consecutive inputs excite each class and inhibit all others."""
    own = np.kron(np.eye(classes), np.ones((1, inputs_each)))
    return Network((classes * inputs_each,), [Dense(1.5 * own - 0.5, CubaLIF(threshold=1.5, voltage_decay=0.3))])


def easy_images() -> Network:
    """The same for images (1, 3, 4): row c excites class c."""
    return Network((1, 3, 4), [Flatten(), *easy_network().layers])


class EasyAnn(nn.Module):
    """An ANN with three classes, each excited by four of the twelve inputs, most by the first of them.

    `shown` is the number of images it has run.
    """

    classes = 3

    def __init__(self, gain: float = 4.0, input_shape: tuple[int, ...] = (12,)) -> None:
        super().__init__()
        self.input_shape, self.shown = input_shape, 0
        own = torch.kron(torch.eye(3), torch.tensor([[1.0, 0.8, 0.6, 0.4]]))
        self.weight = nn.Parameter(gain * (own - own.mean(0)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 3) of images (B, *input_shape)."""
        self.shown += len(images)
        return images.flatten(1) @ self.weight.T
