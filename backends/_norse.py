"""The `norse` backend: its requirements, the networks that it can hold, and its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bl_neuro.backends.base import Backend
from bl_neuro.backends.float_networks import (
    Precision,
    Surrogate,
    sigma_delta_problems,
    spiking_shapes,
    threshold_problems,
)
from bl_neuro.network import Network

if TYPE_CHECKING:
    from bl_neuro.backends.target import Target


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
        problems = threshold_problems(network, "Norse")
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
        from bl_neuro.backends._norse_target import NorseTarget

        return NorseTarget(network, cls, precision, surrogate, **options)
