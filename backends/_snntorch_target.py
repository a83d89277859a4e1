"""Substrate `snntorch`: snnTorch's own `Leaky` and `Synaptic` cells, stepped in time.

    current_decay = 1, bias    Leaky(beta=1-dv) on x + bias
    current_decay < 1          Synaptic(alpha=1-du, beta=1-dv)
    current_decay < 1, bias    Synaptic does not support a bias: Leaky(beta=1-du, no reset) filters the current, and
                               Leaky(beta=1-dv) integrates it with the bias; the same equations

`reset_mechanism="zero", reset_delay=False` is the canonical reset. snnTorch reports the membrane potential after the
reset; where a neuron spiked, the value before the reset is computed with the cell's own expression.

Recurrent synapses add the spikes of the previous step to the input of a cell, as `RLeaky` and `RSynaptic` do; these
cells themselves are not used, since they ignore `reset_delay=False`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.declaration import Declaration
from bl_neuro.backends.float_networks import Precision, Surrogate, spiking_shapes
from bl_neuro.backends.float_target import FloatTarget
from bl_neuro.network import Network

_RESETS = {"zero": ("zero", False), "subtract_delayed": ("subtract", True)}


def _heaviside(shifted: Tensor) -> Tensor:
    return (shifted > 0).to(shifted.dtype)


class SnnTorchTarget(FloatTarget):
    """A network on snnTorch."""

    def __init__(
        self, network: Network, backend: type[Declaration], precision: Precision, surrogate: Surrogate
    ) -> None:
        super().__init__(network, backend, precision, surrogate)
        self._cells = {index: self._make_cells(index) for index, _, _ in spiking_shapes(network)}

    def _make_cells(self, index: int) -> tuple[Any, Any | None]:
        """The spiking cell of a layer, and the cell that filters its synaptic current, if needed."""
        import snntorch

        mechanism, delay = _RESETS[self._neuron(index).reset]
        keep_current = 1.0 - self.parameter(index, "current_decay")
        options = {
            "threshold": self.firing_threshold(index),
            "reset_mechanism": mechanism,
            "reset_delay": delay,
            "spike_grad": None if self.surrogate == "native" else _heaviside,
        }
        beta = 1.0 - self.parameter(index, "voltage_decay")
        filtered = bool((keep_current > 0).any())
        if filtered and not np.any(self._neuron(index).bias):
            cells = snntorch.Synaptic(alpha=keep_current, beta=beta, **options), None
        else:
            current = snntorch.Leaky(beta=keep_current, reset_mechanism="none", spike_grad=_heaviside)
            cells = snntorch.Leaky(beta=beta, **options), (current.to(self.dtype) if filtered else None)
        for cell in cells:  # this list would keep every neuron ever created in memory
            with suppress(ValueError):
                snntorch.SpikingNeuron.instances.remove(cell)
        return cells[0].to(self.dtype), cells[1]

    def _neurons(self, index: int, drive: Tensor) -> tuple[Tensor, Tensor]:
        import snntorch

        cell, current_cell = self._cells[index]
        threshold, bias = self.parameter(index, "threshold"), self.parameter(index, "bias")
        biased = bool(bias.any())
        delayed = self._neuron(index).reset == "subtract_delayed"
        synaptic = isinstance(cell, snntorch.Synaptic)
        tracked = drive.requires_grad and torch.is_grad_enabled()
        current = torch.zeros_like(drive[0])
        voltage = torch.zeros_like(current)
        spikes: Any = [voltage] * len(drive) if tracked else torch.empty_like(drive)
        membranes: Any = [voltage] * len(drive) if tracked else torch.empty_like(drive)
        fired = torch.zeros_like(current)
        for step, input_step in enumerate(drive):
            inputs = self.received(index, input_step, fired)
            previous = voltage
            if synaptic:
                fired, current, voltage = cell(inputs, current, previous)
                received = current
            else:
                current = inputs if current_cell is None else current_cell(inputs, current)[1]
                received = current + bias if biased else current
                fired, voltage = cell(received, previous)
            unreset = voltage
            if not delayed:
                unreset = torch.where(fired > 0, cell.beta * previous + received, voltage)
            spikes[step] = fired = fired.to(self.dtype)  # snnTorch's own surrogates return float32
            membranes[step] = unreset / threshold
        return (torch.stack(spikes), torch.stack(membranes)) if tracked else (spikes, membranes)
