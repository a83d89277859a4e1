"""Targets that need no framework: the NumPy reference behind the interface of a substrate, and a small ANN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bl_neuro.backends.base import Backend, Response, Start, Target
from bl_neuro.backends.float_target import FloatTarget
from bl_neuro.layers import Dense, Flatten
from bl_neuro.network import Arithmetic, Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.reference import run_neurons


class ReferenceBackend(Backend):
    """The NumPy reference as a substrate. Subclasses change what it declares, or the class of its targets."""

    name: ClassVar[str] = "reference"
    title: ClassVar[str] = "bl-neuro's reference"
    summary: ClassVar[str] = "the NumPy reference, for tests"
    modules: ClassVar[tuple[str, ...]] = ("numpy",)
    requirement: ClassVar[str] = "bl-neuro"
    differentiable: ClassVar[bool] = True
    arithmetic: ClassVar[Arithmetic | None] = "real"
    target: ClassVar[type[ReferenceTarget] | None] = None

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """None: it holds every network."""
        return []

    @classmethod
    def open(cls, network: Network, **options: Any) -> Target:
        """Opens `network`; there are no options."""
        return (cls.target or ReferenceTarget)(network, cls, **options)


class SpikesOnlyBackend(ReferenceBackend):
    """The same as a chip is seen: no gradients and no membrane."""

    name = "spikes-only"
    differentiable = False
    reveals_membrane = False


class ReferenceTarget(FloatTarget):
    """Answers as `bl_neuro.reference` does, in float64, with the canonical surrogate's gradients."""

    def __init__(self, network: Network, backend: type[Backend] = ReferenceBackend) -> None:
        super().__init__(network, backend)

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        response = super()._run(spikes, layers, start)
        return response if self.reveals_membrane else replace(response, membrane=None)

    def _neurons(self, index: int, drive: Tensor) -> tuple[Tensor, Tensor]:
        spikes, membrane = run_neurons(self._neuron(index), drive.detach().numpy(), self.network.shapes[index])
        return torch.from_numpy(spikes).to(self.dtype), torch.from_numpy(membrane)


class SpikesOnlyTarget(ReferenceTarget):
    """A target of `SpikesOnlyBackend`."""

    def __init__(self, network: Network, backend: type[Backend] = SpikesOnlyBackend) -> None:
        super().__init__(network, backend)


def easy_network(classes: int = 3, inputs_each: int = 4) -> Network:
    """A network whose class c answers to inputs c * inputs_each and following, and is kept quiet by all others."""
    own = np.kron(np.eye(classes), np.ones((1, inputs_each)))
    return Network((classes * inputs_each,), [Dense(1.5 * own - 0.5, CubaLIF(threshold=1.5, voltage_decay=0.3))])


def easy_images() -> Network:
    """The same for images (1, 3, 4): class c answers to row c."""
    return Network((1, 3, 4), [Flatten(), *easy_network().layers])


class EasyAnn(nn.Module):
    """Tells three classes apart by which four of its twelve inputs are lit, the first of each four most of all.

    `shown` counts the images it has seen.
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
