"""The weights of a target during training: a sequence of convolutions and fully connected layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bl_neuro.errors import InputError
from bl_neuro.layers import Conv, Dense, Flatten, Layer
from bl_neuro.network import MAX_VALUES, Network
from bl_neuro.training.plans import TargetDesign


class Stack(nn.Module):
    """The synapses of a target, in order. The caller adds the neurons between them (of a rate proxy, or spiking).

    `synapses`: `nn.Conv2d` and then `nn.Linear`, float32, with weights drawn from N(0, 1 / inputs of a neuron).

    Raises:
        InputError: the layers do not fit the input, or have more weights than the limit for networks.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, plan: TargetDesign, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.input_shape, self.plan = input_shape, plan
        self.synapses = nn.ModuleList(_synapses(input_shape, classes, plan))
        for synapse in self.synapses:
            fan_in = math.prod(synapse.weight.shape[1:])
            drawn = rng.standard_normal(tuple(synapse.weight.shape), dtype=np.float32) / np.float32(math.sqrt(fan_in))
            synapse.weight = nn.Parameter(torch.from_numpy(drawn))
            if plan.has_bias:
                synapse.bias = nn.Parameter(torch.zeros(len(drawn)))

    def drive(self, number: int, values: Tensor) -> Tensor:
        """Weighted input with bias of the neurons of layer `number`, for values (N, *shape) of the previous layer."""
        synapse = self.synapses[number]
        result: Tensor = synapse(values.flatten(1) if isinstance(synapse, nn.Linear) else values)
        return result

    def network(self) -> Network:
        """The network with these weights."""
        layers: list[Layer] = []
        flat = len(self.input_shape) == 1
        for synapse in self.synapses:
            weight = _array(synapse.weight)
            bias = 0.0 if synapse.bias is None else _array(synapse.bias)
            neuron = self.plan.cuba_lif(bias)
            if isinstance(synapse, nn.Conv2d):
                layers.append(Conv(weight, neuron, synapse.stride, synapse.padding))
                continue
            if not flat:
                layers.append(Flatten())
                flat = True
            layers.append(Dense(weight, neuron))
        return Network(self.input_shape, layers)


def _synapses(shape: tuple[int, ...], classes: int, plan: TargetDesign) -> list[nn.Module]:
    """The layers. Memory is allocated only after the number of weights has been checked."""
    made: list[nn.Module] = []
    values = 0
    with torch.device("meta"):
        for spec in plan.conv:
            if len(shape) != 3:
                raise InputError(f"conv: expected images (channels, height, width), found inputs of shape {shape}")
            sides = [(side + 2 * spec.padding - spec.kernel) // spec.stride + 1 for side in shape[1:]]
            if min(sides) < 1:
                raise InputError(f"conv: {spec} does not fit an input of shape {shape}")
            values += spec.channels * shape[0] * spec.kernel**2
            _need_room(values, "conv")
            made.append(nn.Conv2d(shape[0], spec.channels, spec.kernel, spec.stride, spec.padding, bias=plan.has_bias))
            shape = (spec.channels, sides[0], sides[1])
        inner = math.prod(shape)
        for out in (*plan.hidden, classes):
            values += inner * out
            _need_room(values, "hidden")
            made.append(nn.Linear(inner, out, bias=plan.has_bias))
            inner = out
    return made


def _need_room(values: int, field: str) -> None:
    if values > MAX_VALUES:
        raise InputError(f"{field}: expected layers with at most {MAX_VALUES} weights in total")


def _array(parameter: Tensor) -> Any:
    return parameter.detach().cpu().double().numpy()


def proxy_inputs(images: npt.NDArray[np.float32], steps: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Inputs of the rate proxy for images in 0..1: with the noise of a rate code of so many steps."""
    spread = np.sqrt(images * (1 - images) / np.float32(steps))
    return np.asarray(images + spread * rng.standard_normal(images.shape, dtype=np.float32))


def proxy_logits(stack: Stack, values: Tensor) -> Tensor:
    """Logits (B, classes) of the rate proxy for values (B, *input_shape)."""
    decay = stack.plan.voltage_decay
    last = len(stack.synapses) - 1
    for number in range(last):
        fraction = (stack.drive(number, values) - decay) / (1 - decay)
        values = fraction.clamp(0, 1) + 0.01 * fraction.clamp(max=0)
    return stack.drive(last, values) / decay
