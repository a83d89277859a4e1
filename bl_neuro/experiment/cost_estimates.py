"""How long the cells of a plan take, from finished cells of this run, of earlier runs, or of another machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from statistics import median
from typing import Literal, NamedTuple

from bl_neuro.experiment.cell_cost import CellCost, cell_cost
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_log import CostLog, RecordedCost
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.reference_costs import calibration_seconds, reference_costs
from bl_neuro.experiment.running.runner import Costs
from bl_neuro.experiment.trained_cache import TrainedCache
from bl_neuro.experiment.trained_key import trained_key

Source = Literal["cache", "this run", "earlier runs", "reference", "unknown"]
"""Where an estimate comes from: the result is in the cache; similar cells of this run, or of earlier runs on this
machine; cells of the reference machine, scaled by a calibration."""
SOURCES: tuple[Source, ...] = ("cache", "this run", "earlier runs", "reference", "unknown")
NEAREST = 5
"""Number of similar cells whose median is taken: those with the nearest amounts."""


class Estimate(NamedTuple):
    """The expected seconds of a cell, None if they are not known, and their source."""

    seconds: float | None
    source: Source


class CostTable:
    """Recorded costs, by workload and by group of similar workloads."""

    def __init__(self, costs: Iterable[RecordedCost]) -> None:
        self._same: dict[str, list[float]] = {}
        self._similar: dict[str, list[RecordedCost]] = {}
        for cost in costs:
            self._same.setdefault(cost.workload, []).append(cost.seconds)
            for name in cost.similar:
                self._similar.setdefault(name, []).append(cost)

    def seconds(self, cost: CellCost) -> float | None:
        """The median of equal workloads; else of similar ones with the nearest amounts, in proportion; else None."""
        if cost.workload in self._same:
            return median(self._same[cost.workload])
        name = next((name for name in cost.similar if name in self._similar), None)
        if name is None:
            return None
        nearest = sorted(self._similar[name], key=lambda other: abs(math.log(other.amount / cost.amount)))[:NEAREST]
        return median(other.seconds * cost.amount / other.amount for other in nearest)


class Estimates:
    """Estimates for the cells of one plan. cache, log: those of the user, or None."""

    def __init__(
        self, material: Material, own: Costs, cache: TrainedCache | None = None, log: CostLog | None = None
    ) -> None:
        self.material, self.own, self.cache, self.log = material, own, cache, log

    def of(self, cell: Cell) -> Estimate:
        """The estimate for a cell that is not done, from the first source that has one."""
        if self.cache is not None and self.cache.holds(trained_key(cell, self.material)):
            return Estimate(0.0, "cache")
        own = self.own.seconds(cell)
        if own is not None:
            return Estimate(own, "this run")
        cost = cell_cost(cell, self.material)
        earlier = self._earlier.seconds(cost)
        if earlier is not None:
            return Estimate(earlier, "earlier runs")
        reference = self._reference.seconds(cost)
        if reference is not None:
            return Estimate(reference * self._factor, "reference")
        return Estimate(None, "unknown")

    @cached_property
    def _earlier(self) -> CostTable:
        return CostTable([] if self.log is None else self.log.read())

    @cached_property
    def _reference(self) -> CostTable:
        return CostTable(reference_costs().costs)

    @cached_property
    def _factor(self) -> float:
        """How much longer this machine takes than the reference machine."""
        return calibration_seconds() / reference_costs().calibration_seconds


def total(estimates: Sequence[Estimate]) -> tuple[float, int]:
    """The sum of the known seconds, and the number of unknown ones."""
    known = [estimate.seconds for estimate in estimates if estimate.seconds is not None]
    return sum(known), len(estimates) - len(known)
