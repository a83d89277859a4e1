"""The `snntorch` backend: its requirements, the networks that it can hold, and its options."""

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

RESETS = ("zero", "subtract_delayed")
"""The resets of neurons that snnTorch has."""


class SnnTorchBackend(Backend):
    """Opens networks on snnTorch. Options: precision ("float64", "float32"), surrogate ("canonical", "native")."""

    name: ClassVar[str] = "snntorch"
    title: ClassVar[str] = "snnTorch"
    summary: ClassVar[str] = "snnTorch's Leaky and Synaptic neurons, floating point, white box"
    modules: ClassVar[tuple[str, ...]] = ("snntorch",)
    requirement: ClassVar[str] = "bl-neuro[snntorch]"
    packages: ClassVar[tuple[str, ...]] = ("snntorch",)
    differentiable: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "real"
    arithmetic_title: ClassVar[str | None] = "floating point"

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        if network.is_sigma_delta:
            return sigma_delta_problems(network, "snnTorch")
        return [
            f"layer {index}: reset 'subtract' (without delay): if the membrane potential stays above the threshold "
            "after a reset, snnTorch subtracts the threshold again before it checks for a spike; use 'zero' or "
            "'subtract_delayed'"
            for index, layer, _ in spiking_shapes(network)
            if layer.neuron.reset not in RESETS
        ] + threshold_problems(network, "snnTorch")

    @classmethod
    def open(
        cls, network: Network, precision: Precision = "float64", surrogate: Surrogate = "canonical", **options: Any
    ) -> Target:
        """Opens `network`; see the class for the options."""
        from bl_neuro.backends._snntorch_target import SnnTorchTarget

        return SnnTorchTarget(network, cls, precision, surrogate, **options)
