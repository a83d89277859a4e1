"""The canonical gradient by brute force: the network unrolled in plain torch, differentiated by autograd.

An oracle for differentiable backends that shares no code with `bl_neuro.backends.canonical`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.backends.base import Response, Target
from bl_neuro.layers import SPIKING, Conv, Dense, Flatten, Layer, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF


class _Spike(torch.autograd.Function):
    """s = [v > threshold], with ds/dv = 1 / (1 + 25 |v - threshold| / threshold)^2."""

    @staticmethod
    def forward(ctx: Any, voltage: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(voltage, threshold)
        return (voltage > threshold).to(voltage.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        voltage, threshold = ctx.saved_tensors
        return gradients[0] / (1 + 25 * (voltage - threshold).abs() / threshold) ** 2, None


def class_score(response: Response, label: int) -> Tensor:
    """J = mean over time of softmax(membrane)[label], (B,): what white-box attacks climb."""
    if response.membrane is None:
        raise AssertionError("a differentiable target shows its membrane")
    return torch.softmax(response.membrane, dim=2)[..., label].mean(0)


def target_gradient(target: Target, spikes: Any, label: int) -> Tensor:
    """dJ/dspikes as `target` gives it, in float64."""
    inputs = torch.as_tensor(spikes, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(class_score(target.run(inputs), label).sum(), inputs)
    return gradient


def unrolled_gradient(network: Network, spikes: Any, label: int) -> Tensor:
    """dJ/dspikes of the canonical network in float64."""
    inputs = torch.as_tensor(spikes, dtype=torch.float64).requires_grad_()
    values = list(inputs)
    membrane: list[Tensor] = []
    for layer, shape in zip(network.layers, network.shapes):
        if isinstance(layer, (Dense, Conv)):
            values, membrane = _spiking(layer.neuron, [_synapse(layer, frame) for frame in values], shape)
        else:
            values = [_shape_only(layer, frame) for frame in values]
            membrane = [frame.flatten(1) for frame in membrane] if isinstance(layer, Flatten) else membrane
    response = Response(torch.stack(values), torch.stack(membrane))
    (gradient,) = torch.autograd.grad(class_score(response, label).sum(), inputs)
    return gradient


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference, as a fraction of the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def cosine(one: Tensor, other: Tensor) -> float:
    """Cosine of the angle between two gradients."""
    return float(F.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))


def _spiking(neuron: CubaLIF, drive: list[Tensor], shape: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor]]:
    names = ("threshold", "current_decay", "voltage_decay", "bias")
    threshold, current_decay, voltage_decay, bias = (
        torch.from_numpy(neuron.expanded(name, shape).copy()) for name in names
    )
    current = voltage = late = torch.zeros_like(drive[0])
    fired: list[Tensor] = []
    membrane: list[Tensor] = []
    for inputs in drive:
        current = (1 - current_decay) * current + inputs
        voltage = (1 - voltage_decay) * voltage + current + bias - late
        spikes: Tensor = _Spike.apply(voltage, threshold)  # type: ignore[no-untyped-call]  # torch has no types for it
        fired.append(spikes)
        membrane.append(voltage / threshold)
        reset = spikes.detach()
        if neuron.reset == "zero":
            voltage = voltage * (1 - reset)
        elif neuron.reset == "subtract":
            voltage = voltage - threshold * reset
        else:
            late = threshold * reset
    return fired, membrane


def _synapse(layer: Dense | Conv, frame: Tensor) -> Tensor:
    weight = torch.from_numpy(layer.weight.copy())
    if isinstance(layer, Dense):
        return frame @ weight.T
    return F.conv2d(frame, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def _shape_only(layer: Layer, frame: Tensor) -> Tensor:
    if isinstance(layer, Flatten):
        return frame.flatten(1)
    if isinstance(layer, SPIKING):
        raise TypeError(f"{layer} has neurons")
    mean = F.avg_pool2d(frame, layer.size, layer.stride)
    return mean * (layer.size[0] * layer.size[1]) if isinstance(layer, SumPool) else mean
