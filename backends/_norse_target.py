"""Substrate `norse`: Norse's own `LIFBoxCell` and `LIFCell`, stepped in time with dt = 1.

    current_decay = 1    LIFBoxCell(tau_mem_inv=dv)
    current_decay < 1    LIFCell(tau_syn_inv=du, tau_mem_inv=dv)

Norse computes v <- v + dv ((v_leak - v) + i). Its voltage is dv times that of bl_neuro, so v_th = dv * threshold and
v_leak equals the bias. A network without voltage decay (dv = 0) cannot be expressed. Norse reports the voltage after
the reset; where a neuron spiked, the value before the reset is computed with the cell's own expression. Recurrent
synapses add the spikes of the previous step to the input of a cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.declaration import Declaration
from bl_neuro.backends.float_networks import Precision, Surrogate, spiking_shapes
from bl_neuro.backends.float_target import FloatTarget
from bl_neuro.network import Network


class NorseTarget(FloatTarget):
    """A network on Norse."""

    def __init__(
        self, network: Network, backend: type[Declaration], precision: Precision, surrogate: Surrogate
    ) -> None:
        super().__init__(network, backend, precision, surrogate)
        self._steps = {index: self._make_step(index) for index, _, _ in spiking_shapes(network)}

    def _make_step(self, index: int) -> tuple[Any, bool]:
        """The cell of a layer, and whether it has a synaptic current."""
        from norse.torch import LIFBoxCell, LIFCell
        from norse.torch.functional.lif import LIFParameters
        from norse.torch.functional.lif_box import LIFBoxParameters
        from norse.torch.functional.reset import reset_subtract, reset_value

        decay = self.parameter(index, "voltage_decay")
        shared = {
            "tau_mem_inv": decay,
            "v_leak": self.parameter(index, "bias"),
            "v_th": decay * self.firing_threshold(index),
            "v_reset": torch.zeros((), dtype=self.dtype),
            "method": "super" if self.surrogate == "native" else "heaviside",
        }
        neuron = self._neuron(index)
        if np.all(neuron.current_decay == 1):
            subtract = neuron.reset == "subtract"
            parameters = LIFBoxParameters(**shared, reset_method=reset_subtract if subtract else reset_value)
            return LIFBoxCell(parameters, dt=1.0), False
        return LIFCell(LIFParameters(tau_syn_inv=self.parameter(index, "current_decay"), **shared), dt=1.0), True

    def _neurons(self, index: int, drive: Tensor) -> tuple[Tensor, Tensor]:
        cell, filtered = self._steps[index]
        decay, bias = self.parameter(index, "voltage_decay"), self.parameter(index, "bias")
        unit = decay * self.parameter(index, "threshold")
        state = _initial_state(drive[0], filtered)
        spikes, membranes = [], []
        fired = torch.zeros_like(drive[0])
        for input_step in drive:
            inputs = self.received(index, input_step, fired)
            previous = state
            fired, state = cell(inputs, previous)
            current = (bias - previous.v) + (previous.i + inputs) if filtered else inputs + bias - previous.v
            unreset = torch.where(fired > 0, previous.v + decay * current, state.v)
            spikes.append(fired)
            membranes.append(unreset / unit)
        return torch.stack(spikes), torch.stack(membranes)


def _initial_state(like: Tensor, filtered: bool) -> Any:
    """Norse's state with all voltages and currents at 0; by default Norse would start at v_leak."""
    from norse.torch.functional.lif import LIFFeedForwardState
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState

    zero = torch.zeros_like(like)
    return LIFFeedForwardState(v=zero, i=zero) if filtered else LIFBoxFeedForwardState(v=zero)
