"""How long the cells that are left will take, from how long cells like them took."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean

from bl_neuro.experiment.keeping.store import Store
from bl_neuro.experiment.planning.planned_cell import Cell

ALIKE = (("target", "substrate", "attack", "reveals", "evaluator"), ("substrate", "attack", "evaluator"), ("attack",))
"""What makes cells of one kind alike: first all of it, then less."""


class Costs:
    """Seconds of finished cells, by what they have in common."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seconds: dict[tuple[object, ...], list[float]] = {}

    def add(self, cells: Iterable[Cell]) -> None:
        """Learns from finished cells."""
        for cell in cells:
            seconds = self.store.seconds(cell.address)
            if seconds is not None:
                for key in _keys(cell):
                    self._seconds.setdefault(key, []).append(seconds)

    def seconds(self, cell: Cell) -> float | None:
        """What `cell` is expected to take; None where nothing like it is finished."""
        return next((mean(self._seconds[key]) for key in _keys(cell) if key in self._seconds), None)

    def total(self, cells: Iterable[Cell]) -> tuple[float, int]:
        """Seconds of those whose cost can be told, and how many others there are."""
        found = [self.seconds(cell) for cell in cells]
        return sum(each for each in found if each is not None), found.count(None)


def _keys(cell: Cell) -> list[tuple[object, ...]]:
    return [(cell.kind, *(cell.facts.get(name) for name in names), names) for names in ALIKE]
