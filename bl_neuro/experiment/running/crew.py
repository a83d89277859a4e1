"""Those who do a runner's cells, whether here or on other machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bl_neuro.experiment.planning.planned_cell import Cell

Said = dict[str, Any]
"""What is said of a cell: {} done, {"failed": why}, {"died": how} where its worker ended in the middle, or
{"unwritable": why} where nothing can be kept any more."""


class Crew(Protocol):
    """Takes cells that can be done, in any number at once, and tells of each once what came of it."""

    def take(self, ready: Sequence[Cell]) -> list[Cell]:
        """Begins with as many of `ready` as it can now, the first ones first, and says which."""

    def hear(self) -> list[tuple[Cell, Said]]:
        """Waits for news; what came of cells, perhaps of none.

        Raises:
            SubstrateFailed: no worker can start, or all are out of reach.
        """

    @property
    def at_work(self) -> bool:
        """Whether there is anything to wait for."""

    @property
    def width(self) -> int:
        """How many cells it can be at at once, at least 1."""

    def end(self) -> None:
        """Ends all workers, also those in the middle of a cell."""
