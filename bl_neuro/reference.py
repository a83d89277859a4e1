"""Reference simulation in NumPy float64, with which every floating-point substrate must agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.errors import Unsupported
from bl_neuro.layers import SPIKING, AveragePool, Conv, Dense, Flatten, Input, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF, per_channel


@dataclass(frozen=True)
class ReferenceRun:
    """Spikes and membrane potential (v before reset / threshold) of each spiking layer, (T, B, ...)."""

    layer_spikes: tuple[BoolArray, ...]
    layer_membranes: tuple[FloatArray, ...]

    @property
    def spikes(self) -> BoolArray:
        """Spikes of the output layer, (T, B, *output_shape)."""
        return self.layer_spikes[-1]

    @property
    def membrane(self) -> FloatArray:
        """Membrane of the output layer, (T, B, *output_shape)."""
        return self.layer_membranes[-1]


def simulate(network: Network, spikes: Any, start: str = "aligned") -> ReferenceRun:
    """Runs `network` on `spikes` (T, B, *input_shape), 0/1, with the time step defined in `bl_neuro.neuron`.

    start: "aligned", each layer starts when the first input reaches it; "cold", layer number l (from 0, not counting
    input neurons) first runs l+1 steps on its bias, like a Lava network with one step of delay per synapse.
    """
    if network.is_sigma_delta:
        raise Unsupported(
            "the reference simulation computes spikes, not the messages of sigma-delta networks; use substrate 'loihi'"
        )
    values: FloatArray = np.asarray(spikes, dtype=np.float64)
    steps = values.shape[0]
    recorded: list[BoolArray] = []
    membranes: list[FloatArray] = []
    for layer, shape in zip(network.layers, network.shapes):
        if not isinstance(layer, SPIKING):
            values = _reshape_or_pool(layer, values)
            continue
        drive = _synapse(layer, values)
        if start == "cold" and not isinstance(layer, Input):
            drive = np.concatenate([np.zeros_like(drive[:1]), drive])
        if isinstance(layer, (Dense, Conv)) and layer.current_bias is not None:
            drive = drive + per_channel(layer.current_bias, shape)
        fired, membrane = run_neurons(layer.neuron, drive, shape, getattr(layer, "recurrent", None))
        recorded.append(fired[-steps:])
        membranes.append(membrane[-steps:])
        values = fired.astype(np.float64)
    if isinstance(network.layers[-1], Flatten):
        recorded[-1] = recorded[-1].reshape(*recorded[-1].shape[:2], -1)
        membranes[-1] = membranes[-1].reshape(*membranes[-1].shape[:2], -1)
    return ReferenceRun(tuple(recorded), tuple(membranes))


def run_neurons(
    neuron: CubaLIF, drive: FloatArray, shape: tuple[int, ...], recurrent: FloatArray | None = None
) -> tuple[BoolArray, FloatArray]:
    """Spikes and membrane (T, B, *shape) of neurons driven by `drive` (T, B, *shape).

    recurrent: (N, N), the weights of synapses that carry the spikes of the previous step, or None.
    """
    threshold = neuron.expanded("threshold", shape)
    fires_above = np.broadcast_to(per_channel(neuron.firing_threshold, shape), shape)
    keep_current = 1.0 - neuron.expanded("current_decay", shape)
    keep_voltage = 1.0 - neuron.expanded("voltage_decay", shape)
    bias = neuron.expanded("bias", shape)
    current = np.zeros(drive.shape[1:])
    voltage = np.zeros_like(current)
    fired = np.zeros_like(current, dtype=bool)
    all_fired = np.empty(drive.shape, dtype=bool)
    membrane = np.empty_like(drive)
    for step, inputs in enumerate(drive):
        received = inputs if recurrent is None else inputs + fired.astype(np.float64) @ recurrent.T
        current = keep_current * current + received
        voltage = keep_voltage * voltage + (current + bias)
        if neuron.reset == "subtract_delayed":
            voltage = voltage - threshold * fired
        fired = voltage > fires_above
        all_fired[step] = fired
        membrane[step] = voltage / threshold
        if neuron.reset == "zero":
            voltage = np.where(fired, 0.0, voltage)
        elif neuron.reset == "subtract":
            voltage = voltage - threshold * fired
    return all_fired, membrane


def _synapse(layer: Input | Dense | Conv, values: FloatArray) -> FloatArray:
    if isinstance(layer, Input):
        return layer.weight * values + layer.bias
    if isinstance(layer, Dense):
        return values @ layer.weight.T if layer.delay is None else _delayed(values, layer.weight, layer.delay)
    return _convolve(layer, values.reshape(-1, *values.shape[2:])).reshape(
        *values.shape[:2], *layer.output_shape(values.shape[2:])
    )


def _delayed(values: FloatArray, weight: FloatArray, delay: FloatArray) -> FloatArray:
    """Weighted sums of values (T, B, in), each of which arrives `delay` steps later."""
    arrives = np.broadcast_to(delay, weight.shape)
    total = np.zeros((*values.shape[:2], weight.shape[0]))
    for steps in np.unique(arrives).astype(int).tolist():
        total[steps:] += values[: max(0, len(values) - steps)] @ np.where(arrives == steps, weight, 0.0).T
    return total


def _convolve(layer: Conv, images: FloatArray) -> FloatArray:
    """Cross-correlation of images (N, C, H, W), computed kernel tap by kernel tap."""
    (pad_y, pad_x), (step_y, step_x), (gap_y, gap_x) = layer.padding, layer.stride, layer.dilation
    padded = np.pad(images, ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    out, inner, height, width = layer.weight.shape
    _, rows, columns = layer.output_shape(images.shape[1:])
    grouped = padded.reshape(len(images), layer.groups, inner, *padded.shape[2:])
    weight = layer.weight.reshape(layer.groups, out // layer.groups, inner, height, width)
    result = np.zeros((len(images), layer.groups, out // layer.groups, rows, columns))
    for y in range(height):
        for x in range(width):
            top, left = y * gap_y, x * gap_x
            tap = grouped[..., top : top + step_y * rows : step_y, left : left + step_x * columns : step_x]
            result += np.einsum("ngiyx,goi->ngoyx", tap, weight[..., y, x], optimize=True)
    return result.reshape(len(images), out, rows, columns)


def _reshape_or_pool(layer: Flatten | SumPool | AveragePool, values: FloatArray) -> FloatArray:
    if not isinstance(layer, (SumPool, AveragePool)):
        return values.reshape(*values.shape[:2], -1)
    _, rows, columns = layer.output_shape(values.shape[2:])
    (height, width), (step_y, step_x) = layer.size, layer.stride
    total = np.zeros((*values.shape[:3], rows, columns))
    for y in range(height):
        for x in range(width):
            total += values[..., y : y + step_y * rows : step_y, x : x + step_x * columns : step_x]
    return total if isinstance(layer, SumPool) else total / (height * width)
