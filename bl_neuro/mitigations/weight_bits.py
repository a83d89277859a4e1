"""Deployment with fewer bits per weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from bl_neuro.checks import whole_number
from bl_neuro.deploy.weight_bits import FEWEST, MOST, with_weight_bits
from bl_neuro.errors import InputError
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.network import Network


@dataclass(frozen=True)
class WeightBits(Mitigation):
    """Deploys the network with weights of `bits` bits, 2..8; see `bl_neuro.deploy.weight_bits`."""

    name: ClassVar[str] = "weight_bits"
    title: ClassVar[str] = "Coarser weights"

    bits: int

    def __post_init__(self) -> None:
        count = whole_number(self.bits)
        if count is None or not FEWEST <= count <= MOST:
            raise InputError(f"bits: expected a whole number in {FEWEST}..{MOST}, found {self.bits!r}")

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"weights of {self.bits} bits"

    def network(self, network: Network) -> Network:
        """See `Mitigation.network`."""
        return with_weight_bits(network, self.bits)

    def network_definition(self) -> dict[str, Any]:
        """See `Mitigation.network_definition`."""
        return {"kind": "coarse", "bits": self.bits}
