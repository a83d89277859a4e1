"""The interface of all substrates: a `Backend` declares what its substrate can do, and opens a `Target` on it.

The module of a backend imports no framework, and neither torch: `open` imports what it needs. What a substrate can hold
is thereby known without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from bl_neuro.backends.declaration import Declaration
from bl_neuro.network import Network

if TYPE_CHECKING:
    from bl_neuro.backends.target import Target


class Backend(Declaration, ABC):
    """The adapter for one substrate: declares its requirements and abilities, and opens targets."""

    @classmethod
    @abstractmethod
    def problems(cls, network: Network) -> list[str]:
        """All reasons why the substrate cannot run `network`, each with the layer, the parameter and the cause."""

    @classmethod
    def other_python(cls, **options: Any) -> str | None:
        """The other interpreter that must have `modules`, according to these options; None for this interpreter."""
        return None

    @classmethod
    @abstractmethod
    def open(cls, network: Network, **options: Any) -> Target:
        """Opens `network`. The caller has checked that it has no `problems`."""
