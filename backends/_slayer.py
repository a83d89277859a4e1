"""Substrate `slayer`: Lava-DL's differentiable model of Loihi, on the same integers as the exported network.

Each layer is one of SLAYER's own CUBA blocks with the integers of `deploy.quantize` in SLAYER's units (1/64 of a weight
step). A bias is added between current and voltage, in place of SLAYER's `norm`. Input neurons are a CUBA neuron without
a synapse, driven by integers as on Loihi. SLAYER reports the membrane potential before the reset. Within 24 bits it is
identical to Loihi; beyond, it neither wraps nor clips.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.base import Backend, Response, Start, Target, per_frame
from bl_neuro.backends.canonical import differentiable
from bl_neuro.backends.float_target import Surrogate, check_choice, shape_step, sigma_delta_problems, synapse
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import THRESHOLD_LIMIT, FixedPointLayer, quantization_problems, quantize
from bl_neuro.layers import Conv, Dense, Flatten, Input
from bl_neuro.loihi_numbers import DECAY_ONE
from bl_neuro.network import Network
from bl_neuro.neuron import per_channel

UNIT = 64
"""Factor by which SLAYER's weights and thresholds are smaller than Loihi's."""
WEIGHT_RANGE = (-256, 254)
"""Range of weights that SLAYER's quantization hook preserves; only even values."""


class SlayerBackend(Backend):
    """Opens networks on Lava-DL's SLAYER. Options: surrogate ("canonical", "native")."""

    name: ClassVar[str] = "slayer"
    title: ClassVar[str] = "Lava-DL SLAYER"
    summary: ClassVar[str] = "Lava-DL's SLAYER, Loihi's fixed point with surrogate gradients, white box"
    modules: ClassVar[tuple[str, ...]] = ("lava.lib.dl.slayer",)
    requirement: ClassVar[str] = "bl-neuro[lava]"
    newest_python: ClassVar[tuple[int, int] | None] = (3, 10)
    packages: ClassVar[tuple[str, ...]] = ("lava-nc", "lava-dl")
    differentiable: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "loihi"
    holds_24_bits: ClassVar[bool] = False

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        if network.is_sigma_delta:
            return sigma_delta_problems(network, "SLAYER")
        problems = quantization_problems(network)
        if problems:
            return problems
        return [
            f"layer {layer.index}: {problem}"
            for layer in quantize(network).layers
            for problem in _exact_problems(layer)
        ]

    @classmethod
    def open(cls, network: Network, surrogate: Surrogate = "canonical", **options: Any) -> Target:
        """Opens `network`; see the class for the options."""
        return _SlayerTarget(network, cls, surrogate, **options)


class _SlayerTarget(Target):
    def __init__(self, network: Network, backend: type[Backend], surrogate: Surrogate) -> None:
        super().__init__(network, backend)
        check_choice("surrogate", surrogate, ("canonical", "native"))
        self.surrogate = surrogate
        self._fixed = {layer.index: layer for layer in quantize(network).layers}
        with torch.random.fork_rng(devices=[]):  # SLAYER draws random initial weights, which are then replaced
            self._blocks = {index: _make_block(layer) for index, layer in self._fixed.items()}

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        steps = spikes.shape[0]
        values = spikes
        recorded: list[Tensor] = []
        membrane = values
        for index, layer in enumerate(self.network.layers):
            if index not in self._fixed:
                values = per_frame(partial(shape_step, layer), values)
                membrane = shape_step(layer, membrane) if isinstance(layer, Flatten) else membrane
                continue
            if start == "cold" and not isinstance(layer, Input):
                values = torch.cat([torch.zeros_like(values[:1]), values])
            values, membrane = self._layer(index, values)
            recorded.append(values[-steps:])
        return Response(values[-steps:], membrane[-steps:], recorded if layers else None)

    def _layer(self, index: int, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.surrogate == "native" or not (values.requires_grad and torch.is_grad_enabled()):
            return self._forward(index, values)
        with torch.no_grad():
            spikes, membrane = self._forward(index, values)
        layer = self._fixed[index]
        weight = torch.as_tensor(layer.effective_weight, dtype=values.dtype)
        drive = synapse(layer.source, weight, values)
        decays = [
            torch.as_tensor(per_channel(decay / DECAY_ONE, layer.shape), dtype=values.dtype)
            for decay in (layer.current_decay, layer.voltage_decay)
        ]
        threshold = torch.as_tensor(layer.source.neuron.expanded("threshold", layer.shape).copy(), dtype=values.dtype)
        return differentiable(
            drive, spikes.to(values.dtype), membrane.to(values.dtype), decays[0], decays[1], threshold, "zero"
        )

    def _forward(self, index: int, values: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membrane of one layer through SLAYER's own synapse, dynamics and spike function."""
        block, source = self._blocks[index], self._fixed[index].source
        if isinstance(source, Input):
            drive = _whole_drive(source, values).movedim(0, -1).contiguous() / UNIT
        else:
            drive = block.synapse(values.to(torch.float32).movedim(0, -1).contiguous())
        if isinstance(source, Conv):
            drive = drive.contiguous()
        _, voltage = block.neuron.dynamics(drive)
        spikes = block.neuron.spike(voltage)
        return spikes.movedim(-1, 0), voltage.movedim(-1, 0) * (UNIT / self._fixed[index].threshold)


def _exact_problems(layer: FixedPointLayer) -> list[str]:
    """Properties of a layer in Loihi's integers that SLAYER computes differently or not at all."""
    problems = [
        f"{name}: SLAYER's blocks do not support it; use 'loihi' or 'lava'"
        for name in ("delay", "recurrent")
        if getattr(layer.source, name, None) is not None
    ]
    if not 0 < layer.threshold <= THRESHOLD_LIMIT:
        problems.append(
            f"threshold: SLAYER is exact for 1..{THRESHOLD_LIMIT}, found {layer.threshold}; use 'loihi' or 'lava'"
        )
    if isinstance(layer.source, Input):
        return problems
    low, high = WEIGHT_RANGE
    if (layer.weight % 2).any() or (layer.weight < low).any() or (layer.weight > high).any():
        problems.append(
            f"weight: expected even values in {low}..{high}, since SLAYER would round others; use 'loihi' or 'lava'"
        )
    elif isinstance(layer.source, Dense) and not survives_encoding(layer.weight):
        problems.append(
            "weight: Loihi's encoding changes this matrix, which SLAYER does not reproduce; use 'loihi' or 'lava'"
        )
    return problems


def _whole_drive(layer: Input, values: Tensor) -> Tensor:
    """Drive of input neurons: weight * x + bias, rounded toward zero with a straight-through gradient."""
    exact = values.to(torch.float64) * torch.as_tensor(layer.weight.copy()) + torch.as_tensor(layer.bias.copy())
    return (exact + (exact.detach().trunc() - exact.detach())).to(torch.float32)


def _make_block(layer: FixedPointLayer) -> Any:
    """SLAYER's block with the integers of a layer."""
    import lava.lib.dl.slayer as slayer

    parameters = {"threshold": layer.threshold / UNIT, "current_decay": 0.0, "voltage_decay": 0.0}
    source = layer.source
    if isinstance(source, Input):
        block = slayer.block.cuba.Input(parameters, delay_shift=False)
    elif isinstance(source, Conv):
        inputs = source.weight.shape[1] * source.groups
        outputs, _, height, width = source.weight.shape
        geometry = {"stride": source.stride, "padding": source.padding, "dilation": source.dilation}
        block = slayer.block.cuba.Conv(
            parameters, inputs, outputs, (height, width), groups=source.groups, delay_shift=False, **geometry
        )
    else:
        block = slayer.block.cuba.Dense(parameters, *reversed(source.weight.shape), delay_shift=False)
    if not isinstance(source, Input):
        weight = torch.as_tensor(layer.weight / UNIT, dtype=torch.float32)
        block.synapse.weight.data = weight.reshape(block.synapse.weight.shape)
    neuron = block.neuron
    neuron.current_decay.data = _per_neuron(layer.current_decay, layer.shape)
    neuron.voltage_decay.data = _per_neuron(layer.voltage_decay, layer.shape)
    if layer.bias is not None:
        bias = _per_neuron(layer.bias, layer.shape).unsqueeze(-1) / UNIT
        neuron.norm = lambda current: current + bias
    return block.requires_grad_(False)


def _per_neuron(values: np.ndarray[Any, Any], shape: tuple[int, ...]) -> Tensor:
    return torch.as_tensor(per_channel(values.astype(np.float64), shape), dtype=torch.float32).reshape(
        per_channel(values, shape).shape or (1,)
    )
