"""Sigma-delta networks on the emulator: graded messages, exactly as in Lava, and a straight-through gradient.

The gradient replaces each encoder by its ideal, which sends every change at once: a message is then the difference of
two activations, the threshold and all rounding have derivative 1, and ReLU has that of its recorded activation. The
membrane potential of the response, which attacks maximize, is the output value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bl_neuro.backends.base import Backend
from bl_neuro.backends.declaration import Start
from bl_neuro.backends.inputs import per_frame
from bl_neuro.backends.loihi.graded_synapses import GradedSynapses
from bl_neuro.backends.output_values import output_values
from bl_neuro.backends.target import Response, Target, joined
from bl_neuro.layers import SPIKING, Input, Shape
from bl_neuro.loihi_numbers import input_drive
from bl_neuro.network import Network
from bl_neuro.neuron import per_neuron
from bl_neuro.sigma_delta import MESSAGE_BITS, STATE_BITS, Delta, Sigma, SigmaDelta

PIECE_VALUES = 2**23
"""Maximum number of values (T x B x widest layer) of one piece of a batch."""


@dataclass(frozen=True, eq=False)
class GradedLayer:
    """A layer with its neurons in flat form. synapses: None for input neurons. bias: (N,), a state."""

    neuron: Delta | SigmaDelta | Sigma
    synapses: GradedSynapses | None
    shape: Shape
    threshold: int
    bias: Tensor

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def rectifies(self) -> bool:
        """Whether the activation is ReLU."""
        return isinstance(self.neuron, SigmaDelta) and self.neuron.activation == "relu"


class GradedTrace(NamedTuple):
    """Recording of a layer: messages (T, B, N), int32; activations likewise, before ReLU, if kept; its final states."""

    messages: Tensor
    activation: Tensor
    states: tuple[Tensor, ...]


class SigmaDeltaTarget(Target):
    """A sigma-delta network on the emulator, in torch's integers on any device."""

    takes_floats = False

    def __init__(self, network: Network, backend: type[Backend], device: torch.device) -> None:
        super().__init__(network, backend)
        self._device = device
        self._layers = _graded_layers(network, device)

    def _chunk(self, steps: int) -> int:
        widest = max(int(np.prod(shape)) for shape in (self.network.input_shape, *self.network.shapes))
        return max(1, min(super()._chunk(steps), PIECE_VALUES // (steps * widest)))

    def _run_with_states(self, inputs: Tensor, start: Start) -> Response:
        pieces = inputs.split(self._chunk(inputs.shape[0]), dim=1)
        return joined([self._answer(piece, start, layers=True, states=True) for piece in pieces])

    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        if not (spikes.requires_grad and torch.is_grad_enabled()):
            return self._answer(spikes, start, layers)
        with torch.no_grad():
            traces = self._traces(spikes.detach(), start)
        return self._with_gradient(spikes, traces, layers)

    def _answer(self, inputs: Tensor, start: Start, layers: bool, states: bool = False) -> Response:
        steps, traces = len(inputs), self._traces(inputs, start)
        recorded = [
            self._shaped(layer, trace.messages[-steps:]).to(torch.float64) for layer, trace in zip(self._layers, traces)
        ]
        values = output_values(self._layers[-1].neuron, traces[-1].messages)[-steps:]
        return Response(
            recorded[-1],
            values.reshape(recorded[-1].shape).cpu(),
            recorded if layers else None,
            self._final_states(traces) if states else None,
        )

    def _final_states(self, traces: list[GradedTrace]) -> list[tuple[Tensor, ...]]:
        return [
            tuple(state.reshape(-1, *layer.shape).to(torch.int64).cpu() for state in trace.states)
            for layer, trace in zip(self._layers, traces)
        ]

    def _shaped(self, layer: GradedLayer, values: Tensor) -> Tensor:
        shape = self.network.output_shape if layer is self._layers[-1] else layer.shape
        return values.reshape(*values.shape[:2], *shape).cpu()

    def _traces(self, inputs: Tensor, start: Start) -> list[GradedTrace]:
        """The recordings of all layers; in a cold start, each runs one step more than the one before."""
        first = self.network.layers[0]
        if not isinstance(first, Input):
            raise TypeError("expected input neurons")
        drive = per_frame(lambda frames: _driven(first, frames), inputs).flatten(2).to(self._device)
        traces: list[GradedTrace] = []
        for layer in self._layers:
            if layer.synapses is None:
                trace = _encoded(layer, drive << STATE_BITS)
            else:
                sums = layer.synapses(traces[-1].messages)
                trace = _integrated(layer, _delayed_start(sums) if start == "cold" else sums)
            traces.append(trace)
        return traces

    def _with_gradient(self, inputs: Tensor, traces: list[GradedTrace], layers: bool) -> Response:
        """The recorded response as a differentiable function of `inputs`; see the module."""
        steps = len(inputs)
        messages, recorded = inputs.flatten(2).to(torch.float64), []
        value = messages
        for layer, trace in zip(self._layers, traces):
            if layer.synapses is None:
                activation = messages * _gain(self.network, messages.device) * float(1 << STATE_BITS)
            else:
                sums = _linear(layer.synapses, messages)
                extra = len(trace.messages) - len(sums)
                activation = F.pad(sums, (0, 0, 0, 0, extra, 0)).cumsum(0)
            if layer.rectifies:
                activation = activation * (trace.activation > 0).to(activation)
            exact = trace.messages.to(activation)
            if isinstance(layer.neuron, Sigma):
                ideal = activation
            else:
                ideal = activation.diff(dim=0, prepend=torch.zeros_like(activation[:1])) / float(1 << MESSAGE_BITS)
            messages = exact + (ideal - ideal.detach())
            value = output_values(layer.neuron, messages)
            recorded.append(self._shaped(layer, messages[-steps:]))
        membrane = value[-steps:].reshape(recorded[-1].shape).cpu()
        return Response(recorded[-1], membrane, recorded if layers else None)


def _graded_layers(network: Network, device: torch.device) -> list[GradedLayer]:
    layers = []
    input_shapes = (network.input_shape, *network.shapes)
    for layer, input_shape, shape in zip(network.layers, input_shapes, network.shapes):
        if not isinstance(layer, SPIKING):
            continue
        parameters = layer.neuron.parameters()
        threshold = int(parameters["threshold"].item()) << STATE_BITS if "threshold" in parameters else 0
        bias = per_neuron(parameters.get("bias", np.zeros(())), shape).reshape(-1).astype(np.int32) << STATE_BITS
        synapses = None if isinstance(layer, Input) else GradedSynapses(layer, input_shape, shape, device)
        layers.append(GradedLayer(layer.neuron, synapses, shape, threshold, torch.as_tensor(bias, device=device)))
    return layers


def _driven(layer: Input, frames: Tensor) -> Tensor:
    return torch.from_numpy(input_drive(layer, frames.cpu().numpy()).astype(np.int32))


def _delayed_start(sums: Tensor) -> Tensor:
    """The sums one step later, after a step without any."""
    return torch.cat([torch.zeros_like(sums[:1]), sums])


def _integrated(layer: GradedLayer, sums: Tensor) -> GradedTrace:
    sigma = sums.cumsum(0).to(torch.int32)
    if isinstance(layer.neuron, Sigma):
        return GradedTrace(sigma, sigma, (sigma[-1],))
    trace = _encoded(layer, sigma + layer.bias)
    return trace._replace(states=(sigma[-1], *trace.states))


def _encoded(layer: GradedLayer, activation: Tensor) -> GradedTrace:
    """The messages of delta encoders for activations (T, B, N), int32, before ReLU, and their last act and residue."""
    messages = torch.empty(activation.shape, dtype=torch.int32, device=activation.device)
    previous = torch.zeros_like(activation[0])
    residue = torch.zeros_like(previous)
    for step, frame in enumerate(activation):
        current = frame.clamp_min(0) if layer.rectifies else frame
        change = current - previous + residue
        sent = change * (change.abs() >= layer.threshold)
        residue, previous = change - sent, current
        messages[step] = sent >> MESSAGE_BITS
    return GradedTrace(messages, activation, (previous, residue))


def _gain(network: Network, device: torch.device) -> Tensor:
    """The weight of each input neuron, (N,)."""
    first = network.layers[0]
    weight = np.broadcast_to(getattr(first, "weight", 1.0), network.input_shape).reshape(-1).copy()
    return torch.as_tensor(weight, dtype=torch.float64, device=device)


def _linear(synapses: GradedSynapses, messages: Tensor) -> Tensor:
    """Sums (T, B, N) as a differentiable function of messages (T, B, M), without rounding and overflows."""
    total: Tensor | None = None
    for steps in synapses.delays:
        weight = synapses.real_weight(steps).to(messages.device)
        sums = synapses.applied(messages[: max(len(messages) - steps, 0)], weight)
        sums = F.pad(sums, (0, 0, 0, 0, len(messages) - len(sums), 0))
        total = sums if total is None else total + sums
    if total is None:
        raise TypeError("expected at least one delay")
    return total
