"""Runs cells with the cache that runs share, and records their costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import NamedTuple

from bl_neuro.experiment.cell_cost import cell_cost
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.cost_log import CostLog
from bl_neuro.experiment.jobs import Job
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
        self._resumed: set[str] = set()

    @classmethod
    def of_user(cls, work: Work, shared: bool) -> SharedWork:
        """With the cache of the user, if `shared`. Raises InputError if an environment variable is invalid."""
        cache = TrainedCache.of_user() if shared else None
        return cls(work, cache, None if cache is None else CostLog(cache.folder))

    @contextmanager
    def together(self, job: Job) -> Iterator[None]:
        """A block in which `do` finishes the cells of a job, whose networks are trained together before it.

        If their training fails, each is trained alone, so that only the cell that cannot be trained fails.
        """
        if len(job) == 1:
            yield
            return
        keys = {cell.address: trained_key(cell, self.work.material) for cell in job}
        known = [key for key in keys.values() if key is not None]
        with nullcontext() if self.cache is None else self.cache.training(*known):
            missing = [cell for cell in job if self.cache is None or not self.cache.holds(keys[cell.address])]
            checkpoints = {cell.address: self.work.store.checkpoint(cell.address) for cell in missing}
            self._resumed = {address for address, path in checkpoints.items() if path.exists()}
            try:
                if len(missing) > 1:
                    with suppress(Exception):
                        self.work.training.train_ahead(missing)
                yield
            finally:
                self.work.training.ahead.clear()

    def do(self, cell: Cell) -> Done:
        """Finishes `cell`. Raises the errors of `Work.do`."""
        checkpoint = self.work.store.checkpoint(cell.address)
        ahead = cell.address in self.work.training.ahead
        resumed = cell.address in self._resumed if ahead else checkpoint.exists()  # its seconds: of the rest alone
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
