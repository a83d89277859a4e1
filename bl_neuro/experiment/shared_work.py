"""Runs cells with the cache that runs share, and records their costs."""

from __future__ import annotations

from typing import NamedTuple

from bl_neuro.experiment.cell_cost import cell_cost
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_log import CostLog
from bl_neuro.experiment.trained_cache import TrainedCache
from bl_neuro.experiment.trained_key import trained_key
from bl_neuro.experiment.work import Work


class Done(NamedTuple):
    """How a cell was finished. copied: whether its result came from the cache. warnings: of the cache."""

    copied: bool
    warnings: list[str]


class SharedWork:
    """Runs cells like `work`. Trained networks and evaluators come from `cache`, or are added to it.

    cache, costs: None to share nothing, or to record no costs.
    """

    def __init__(self, work: Work, cache: TrainedCache | None, costs: CostLog | None) -> None:
        self.work, self.cache, self.costs = work, cache, costs

    @classmethod
    def of_user(cls, work: Work, shared: bool) -> SharedWork:
        """With the cache of the user, if `shared`. Raises InputError if an environment variable is invalid."""
        cache = TrainedCache.of_user() if shared else None
        return cls(work, cache, None if cache is None else CostLog(cache.folder))

    def do(self, cell: Cell) -> Done:
        """Finishes `cell`. Raises the errors of `Work.do`."""
        resumed = self.work.store.checkpoint(cell.address).exists()  # whose seconds are those of the rest alone
        copied = self._copied_or_trained(cell)
        if not copied and not resumed and self.costs is not None:
            seconds = self.work.store.seconds(cell.address)
            if seconds is not None:
                self.costs.add(cell_cost(cell, self.work.material), seconds)
        warnings: list[str] = []
        if self.cache is not None:
            warnings, self.cache.warnings = self.cache.warnings, []
        return Done(copied, warnings)

    def _copied_or_trained(self, cell: Cell) -> bool:
        """Copies the result from the cache, or computes it. Returns whether it was copied."""
        key = None if self.cache is None else trained_key(cell, self.work.material)
        if self.cache is None or key is None:
            self.work.do(cell)
            return False
        store = self.work.store
        if not self.cache.copy(key, cell, store):
            with self.cache.training(key):
                # another process may have trained it while this one waited
                if not self.cache.copy(key, cell, store):
                    self.work.do(cell)
                    self.cache.keep(key, cell, store)
                    return False
        store.checkpoint(cell.address).unlink(missing_ok=True)
        return True
