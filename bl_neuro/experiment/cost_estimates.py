"""How long the cells of a plan take, from finished cells of this run, of earlier runs, or of another machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from statistics import median
from typing import Literal, NamedTuple

from bl_neuro.experiment.cell_cost import CellCost, cell_cost
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_log import CostLog, RecordedCost, machine_digest
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.reference_costs import calibration_seconds, reference_costs
from bl_neuro.experiment.store import Store
from bl_neuro.experiment.trained_cache import TrainedCache
from bl_neuro.experiment.trained_key import trained_key

Source = Literal["cache", "this run", "earlier runs", "reference", "unknown"]
"""Where an estimate comes from: the result is in the cache; equal or similar cells of this run, or of earlier runs on
this machine; cells of the reference machine, scaled by a calibration."""
SOURCES: tuple[Source, ...] = ("cache", "this run", "earlier runs", "reference", "unknown")
NEAREST = 5
"""Number of similar cells whose median is taken: those with the nearest amounts."""


class Estimate(NamedTuple):
    """The expected seconds of a cell, None if they are not known, and their source."""

    seconds: float | None
    source: Source


class CostTable:
    """Recorded costs, by workload and by group of similar workloads."""

    def __init__(self, costs: Iterable[RecordedCost] = ()) -> None:
        self._same: dict[str, list[float]] = {}
        self._similar: dict[str, list[RecordedCost]] = {}
        self.add(costs)

    def add(self, costs: Iterable[RecordedCost]) -> None:
        """Adds recorded costs."""
        for cost in costs:
            self._same.setdefault(cost.workload, []).append(cost.seconds)
            for name in cost.similar:
                self._similar.setdefault(name, []).append(cost)

    def seconds(self, cost: CellCost) -> float | None:
        """From equal workloads; else from similar ones; else None."""
        equal = self.of_equal(cost)
        return self.of_similar(cost) if equal is None else equal

    def of_equal(self, cost: CellCost) -> float | None:
        """The median of equal workloads, or None."""
        return median(self._same[cost.workload]) if cost.workload in self._same else None

    def of_similar(self, cost: CellCost) -> float | None:
        """The median of similar workloads with the nearest amounts, in proportion to the amount; None without any."""
        name = next((name for name in cost.similar if name in self._similar), None)
        if name is None:
            return None
        nearest = sorted(self._similar[name], key=lambda other: abs(math.log(other.amount / cost.amount)))[:NEAREST]
        return median(other.seconds * cost.amount / other.amount for other in nearest)


class Estimates:
    """Estimates for the cells of one plan.

    store: of the run, with the durations of its finished cells. cache, log: those of the user, or None.
    """

    def __init__(
        self, material: Material, store: Store, cache: TrainedCache | None = None, log: CostLog | None = None
    ) -> None:
        self.material, self.store, self.cache, self.log = material, store, cache, log
        self._own = CostTable()
        self._costs: dict[str, CellCost] = {}
        self._known: dict[str, Estimate] = {}

    @classmethod
    def of_user(cls, material: Material, store: Store, shared: bool) -> Estimates:
        """With the cache and the costs of the user, if `shared`. Raises the errors of `TrainedCache.of_user`."""
        cache = TrainedCache.of_user() if shared else None
        return cls(material, store, cache, None if cache is None else CostLog(cache.folder))

    def add(self, finished: Iterable[Cell]) -> None:
        """Adds the durations of finished cells of this run."""
        for cell in finished:
            seconds = self.store.seconds(cell.address)
            if seconds is not None:
                cost = self._cost(cell)
                self._own.add([RecordedCost(machine=machine_digest(), **cost._asdict(), seconds=seconds)])
        self._known.clear()

    def of(self, cell: Cell) -> Estimate:
        """The estimate for a cell that is not done, from the first source that has one.

        Equal workloads, of this run or of earlier ones, come before similar workloads.
        """
        if self.cache is not None and self.cache.holds(trained_key(cell, self.material)):
            return Estimate(0.0, "cache")
        cost = self._cost(cell)
        if cost.workload not in self._known:
            self._known[cost.workload] = self._estimate(cost)
        return self._known[cost.workload]

    def _estimate(self, cost: CellCost) -> Estimate:
        sources: tuple[tuple[Source, Callable[[], float | None]], ...] = (
            ("this run", lambda: self._own.of_equal(cost)),
            ("earlier runs", lambda: self._earlier.of_equal(cost)),
            ("this run", lambda: self._own.of_similar(cost)),
            ("earlier runs", lambda: self._earlier.of_similar(cost)),
            ("reference", lambda: self._scaled(self._reference.seconds(cost))),
        )
        estimates = (Estimate(seconds(), source) for source, seconds in sources)
        return next((estimate for estimate in estimates if estimate.seconds is not None), Estimate(None, "unknown"))

    def _cost(self, cell: Cell) -> CellCost:
        if cell.address not in self._costs:
            self._costs[cell.address] = cell_cost(cell, self.material)
        return self._costs[cell.address]

    def _scaled(self, seconds: float | None) -> float | None:
        return None if seconds is None else seconds * self._factor

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
