"""The `slayer` backend: its requirements, the networks that it can hold, and its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bl_neuro.backends.base import Backend
from bl_neuro.backends.float_networks import Surrogate, sigma_delta_problems
from bl_neuro.deploy.loihi_weights import survives_encoding
from bl_neuro.deploy.quantize import THRESHOLD_LIMIT, FixedPointLayer, quantization_problems, quantize
from bl_neuro.layers import Dense, Input
from bl_neuro.network import Network

if TYPE_CHECKING:
    from bl_neuro.backends.target import Target

WEIGHT_RANGE = (-256, 254)
"""Range of weights that SLAYER's quantization hook preserves; only even values."""


class SlayerBackend(Backend):
    """Opens networks on Lava-DL's SLAYER. Options: surrogate ("canonical", "native")."""

    name: ClassVar[str] = "slayer"
    title: ClassVar[str] = "Lava-DL SLAYER"
    summary: ClassVar[str] = "Lava-DL's SLAYER, Loihi's fixed point with surrogate gradients, white box"
    modules: ClassVar[tuple[str, ...]] = ("lava.lib.dl.slayer",)
    requirement: ClassVar[str] = "bl-neuro[lava]"
    newest_python: ClassVar[tuple[int, int] | None] = (3, 10)
    packages: ClassVar[tuple[str, ...]] = ("lava-nc", "lava-dl")
    differentiable: ClassVar[bool] = True
    arithmetic: ClassVar[str | None] = "loihi"
    holds_24_bits: ClassVar[bool] = False

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        """See `Backend.problems`."""
        if network.is_sigma_delta:
            return sigma_delta_problems(network, "SLAYER")
        problems = quantization_problems(network)
        if problems:
            return problems
        return [
            f"layer {layer.index}: {problem}"
            for layer in quantize(network).layers
            for problem in _exact_problems(layer)
        ]

    @classmethod
    def open(cls, network: Network, surrogate: Surrogate = "canonical", **options: Any) -> Target:
        """Opens `network`; see the class for the options."""
        from bl_neuro.backends._slayer_target import SlayerTarget

        return SlayerTarget(network, cls, surrogate, **options)


def _exact_problems(layer: FixedPointLayer) -> list[str]:
    """Properties of a layer in Loihi's integers that SLAYER computes differently or not at all."""
    problems = [
        f"{name}: SLAYER's blocks do not support it; use 'loihi' or 'lava'"
        for name in ("delay", "recurrent")
        if getattr(layer.source, name, None) is not None
    ]
    if not 0 < layer.threshold <= THRESHOLD_LIMIT:
        problems.append(
            f"threshold: SLAYER is exact for 1..{THRESHOLD_LIMIT}, found {layer.threshold}; use 'loihi' or 'lava'"
        )
    if isinstance(layer.source, Input):
        return problems
    low, high = WEIGHT_RANGE
    if (layer.weight % 2).any() or (layer.weight < low).any() or (layer.weight > high).any():
        problems.append(
            f"weight: expected even values in {low}..{high}, since SLAYER would round others; use 'loihi' or 'lava'"
        )
    elif isinstance(layer.source, Dense) and not survives_encoding(layer.weight):
        problems.append(
            "weight: Loihi's encoding changes this matrix, which SLAYER does not reproduce; use 'loihi' or 'lava'"
        )
    return problems
