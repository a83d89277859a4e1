"""Substrate `norse`: Norse's own `LIFBoxCell` and `LIFCell`, stepped in time with dt = 1.

    current_decay = 1    LIFBoxCell(tau_mem_inv=dv)
    current_decay < 1    LIFCell(tau_syn_inv=du, tau_mem_inv=dv)

Norse computes v <- v + dv ((v_leak - v) + i). Its voltage is dv times that of bl_neuro, so v_th = dv * threshold and
v_leak equals the bias. A network without voltage decay (dv = 0) cannot be expressed. Norse reports the voltage after
the reset; where a neuron spiked, the value before the reset is computed with the cell's own expression.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.base import Backend, Target
from bl_neuro.backends.float_target import (
    FloatTarget,
    Precision,
    Surrogate,
    sigma_delta_problems,
    spiking_shapes,
    wiring_problems,
)
from bl_neuro.network import Network


class NorseBackend(Backend):
    """Opens networks on Norse. Options: precision ("float64", "float32"), surrogate ("canonical", "native")."""

    name: ClassVar[str] = "norse"
    title: ClassVar[str] = "Norse"
    summary: ClassVar[str] = "Norse's LIFBox and LIF neurons, floating point, white box"
    modules: ClassVar[tuple[str, ...]] = ("norse",)
    requirement: ClassVar[str] = "bl-neuro[norse]"
    packages: ClassVar[tuple[str, ...]] = ("norse",)
    differentiable: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "real"

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        if network.is_sigma_delta:
            return sigma_delta_problems(network, "Norse")
        problems = wiring_problems(network, "Norse")
        for index, layer, _ in spiking_shapes(network):
            neuron = layer.neuron
            if (neuron.voltage_decay == 0).any():
                problems.append(
                    f"layer {index}: voltage_decay 0: Norse scales the voltage by it; use a small positive value"
                )
            if neuron.reset == "subtract_delayed" or (neuron.reset == "subtract" and (neuron.current_decay < 1).any()):
                problems.append(
                    f"layer {index}: reset '{neuron.reset}': Norse resets in the same step as the spike, and its "
                    "LIF neuron only to a fixed value; use 'zero', or 'subtract' with current_decay 1"
                )
        return problems

    @classmethod
    def open(
        cls, network: Network, precision: Precision = "float64", surrogate: Surrogate = "canonical", **options: Any
    ) -> Target:
        """Opens `network`; see the class for the options."""
        return _NorseTarget(network, cls, precision, surrogate, **options)


class _NorseTarget(FloatTarget):
    def __init__(self, network: Network, backend: type[Backend], precision: Precision, surrogate: Surrogate) -> None:
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
        for inputs in drive:
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
