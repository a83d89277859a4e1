"""Common code of the snnTorch and Norse targets: torch synapses over all time steps, then the library's own neurons."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.backends.canonical import differentiable
from bl_neuro.backends.declaration import Declaration, Start
from bl_neuro.backends.float_networks import Precision, Surrogate
from bl_neuro.backends.inputs import per_frame
from bl_neuro.backends.target import Response, Target
from bl_neuro.deploy.loihi_weights import effective_weights, stored_together
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated
from bl_neuro.layers import SPIKING, Conv, Dense, Flatten, Input, Layer, SumPool
from bl_neuro.network import Arithmetic, Network
from bl_neuro.neuron import CubaLIF, per_channel


class FloatTarget(Target):
    """A network in floating point. Subclasses run the neurons of a layer with their library's cells.

    precision: "float64" (promises spikes identical to the reference) or "float32". surrogate: "canonical", the same
    surrogate gradient on every substrate, or "native", the library's autograd with its default surrogate.
    """

    @isolated
    def __init__(
        self,
        network: Network,
        backend: type[Declaration],
        precision: Precision = "float64",
        surrogate: Surrogate = "canonical",
    ) -> None:
        super().__init__(network, backend)
        check_choice("precision", precision, ("float64", "float32"))
        check_choice("surrogate", surrogate, ("canonical", "native"))
        self.surrogate = surrogate
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self._weights = [
            torch.as_tensor(real_weight(layer, network.arithmetic), dtype=self.dtype)
            if isinstance(layer, SPIKING)
            else None
            for layer in network.layers
        ]
        self._recurrent = {
            index: torch.as_tensor(recurrent_weight(layer, network.arithmetic), dtype=self.dtype)
            for index, layer in enumerate(network.layers)
            if isinstance(layer, Dense) and layer.recurrent is not None
        }

    @abstractmethod
    def _neurons(self, index: int, drive: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membrane (T, B, *shape) of layer `index` with weighted input `drive`, from the zero state."""

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        steps = spikes.shape[0]
        values = per_frame(lambda frames: frames.to(self.dtype), spikes)
        recorded: list[Tensor] = []
        membrane = values
        for index, (layer, weight) in enumerate(zip(self.network.layers, self._weights)):
            if weight is None:
                values = per_frame(partial(shape_step, layer), values)
                membrane = shape_step(layer, membrane) if isinstance(layer, Flatten) else membrane
                continue
            if isinstance(layer, Dense) and layer.delay is not None:
                drive = delayed(values, weight, torch.from_numpy(layer.delay.copy()))
            else:
                drive = per_frame(partial(synapse, layer, weight), values)
            if start == "cold" and not isinstance(layer, Input):
                drive = torch.cat([torch.zeros_like(drive[:1]), drive])
            if isinstance(layer, (Dense, Conv)) and layer.current_bias is not None:
                drive = drive + self._tensor(index, layer.current_bias)
            values, membrane = self._fire(index, drive)
            recorded.append(values[-steps:])
        return Response(values[-steps:], membrane[-steps:], recorded if layers else None)

    def _fire(self, index: int, drive: Tensor) -> tuple[Tensor, Tensor]:
        if self.surrogate == "native" or not (drive.requires_grad and torch.is_grad_enabled()):
            return self._neurons(index, drive)
        with torch.no_grad():
            spikes, membrane = self._neurons(index, drive)
        decays = self.parameter(index, "current_decay"), self.parameter(index, "voltage_decay")
        neurons = *decays, self.parameter(index, "threshold"), self._neuron(index).reset
        return differentiable(drive, spikes, membrane, *neurons, self._recurrent.get(index))

    def received(self, index: int, inputs: Tensor, fired: Tensor) -> Tensor:
        """Synaptic input (B, *shape) of one step: `inputs`, and through recurrent synapses the previous spikes."""
        recurrent = self._recurrent.get(index)
        return inputs if recurrent is None else inputs + F.linear(fired, recurrent)

    def _neuron(self, index: int) -> CubaLIF:
        layer = self.network.layers[index]
        if not isinstance(layer, SPIKING):
            raise InputError(f"layer {index} ({layer}) has no neurons")
        neuron: CubaLIF = layer.neuron
        return neuron

    def parameter(self, index: int, name: str) -> Tensor:
        """Parameter `name` of layer `index` as a tensor that broadcasts over its neurons."""
        return self._tensor(index, self._neuron(index).parameters()[name])

    def firing_threshold(self, index: int) -> Tensor:
        """The value that the voltages of layer `index` are compared with, see `CubaLIF.firing_threshold`."""
        return self._tensor(index, self._neuron(index).firing_threshold)

    def _tensor(self, index: int, array: FloatArray) -> Tensor:
        return torch.as_tensor(per_channel(array, self.network.shapes[index]).copy(), dtype=self.dtype)


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises InputError if `value` is not one of `allowed`."""
    if value not in allowed:
        raise InputError(f"{name}: expected one of {', '.join(allowed)}, found {value!r}")


def synapse(layer: Layer, weight: Tensor, values: Tensor) -> Tensor:
    """Weighted input (T, B, *shape) of a spiking layer, in one product over all time steps."""
    if isinstance(layer, Input):
        return values * weight + torch.as_tensor(layer.bias.copy(), dtype=weight.dtype)
    if isinstance(layer, Dense):
        return F.linear(values, weight)
    if not isinstance(layer, Conv):
        raise InputError(f"{layer} has no synapses")
    images = values.reshape(-1, *values.shape[2:])
    result = F.conv2d(images, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    return result.reshape(*values.shape[:2], *result.shape[1:])


def delayed(values: Tensor, weight: Tensor, delay: Tensor) -> Tensor:
    """Weighted input (T, B, out) from values (T, B, in), each of which arrives `delay` steps later."""
    arrives = delay.expand(weight.shape)
    total = torch.zeros((*values.shape[:2], len(weight)), dtype=weight.dtype)
    for steps in arrives.unique().int().tolist():
        earlier = values[: max(0, len(values) - steps)]
        arriving = F.linear(earlier, torch.where(arrives == steps, weight, 0.0))
        total = total + F.pad(arriving, (0, 0, 0, 0, len(values) - len(earlier), 0))
    return total


def real_weight(layer: Input | Dense | Conv, arithmetic: Arithmetic) -> FloatArray:
    """The weights in floating point; for a network in Loihi's arithmetic, its weights after 8-bit encoding."""
    if arithmetic == "loihi" and isinstance(layer, Dense) and layer.recurrent is not None:
        return encoded(layer.weight, layer.recurrent)[0]
    if arithmetic == "loihi" and isinstance(layer, Dense) and layer.weight.any():
        return effective_weights(layer.weight.astype(np.int64))
    return layer.weight.copy()


def recurrent_weight(layer: Dense, arithmetic: Arithmetic) -> FloatArray:
    """The weights of recurrent synapses in floating point, after 8-bit encoding in Loihi's arithmetic."""
    recurrent: Any = layer.recurrent
    return encoded(layer.weight, recurrent)[1] if arithmetic == "loihi" else recurrent.copy()


def encoded(*weights: FloatArray) -> list[FloatArray]:
    """Matrices after Loihi's joint 8-bit encoding, before their sums are rounded down."""
    if not any(weight.any() for weight in weights):
        return [weight.copy() for weight in weights]
    stored, shift = stored_together([weight.astype(np.int64) for weight in weights])
    return [np.ldexp(weight.astype(np.float64), -shift) for weight in stored]


def shape_step(layer: Layer, values: Tensor) -> Tensor:
    """Flattens or pools values (T, B, *shape)."""
    if isinstance(layer, Flatten):
        return values.flatten(2)
    if isinstance(layer, SPIKING):
        raise InputError(f"expected a layer that only changes the shape, found {layer}")
    images = values.reshape(-1, *values.shape[2:])
    pooled = F.avg_pool2d(images, layer.size, layer.stride, divisor_override=1)
    if not isinstance(layer, SumPool):
        pooled = pooled / (layer.size[0] * layer.size[1])
    return pooled.reshape(*values.shape[:2], *pooled.shape[1:])
