"""Less informative outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bl_neuro.errors import InputError
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.reveals import REVEALS, Reveals


@dataclass(frozen=True)
class RevealLess(Mitigation):
    """Reveals `to` instead of any more informative output."""

    name: ClassVar[str] = "reveal"
    title: ClassVar[str] = "Less revealed"

    to: Reveals

    def __post_init__(self) -> None:
        if self.to not in REVEALS[1:]:
            raise InputError(f"to: expected one of {', '.join(REVEALS[1:])}, found {self.to!r}")

    @property
    def setting(self) -> str:
        """See `Mitigation.setting`."""
        return f"shows {self.to} alone"

    def reveals(self, view: Reveals) -> Reveals:
        """See `Mitigation.reveals`."""
        return self.to if REVEALS.index(view) < REVEALS.index(self.to) else view
