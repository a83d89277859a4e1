"""Runs an audit from its experiment to its findings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bl_neuro.errors import MissingDependency
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.endpoint_access import need_allowed, need_tokens
from bl_neuro.experiment.experiment_file import experiment_path, read_experiment
from bl_neuro.experiment.findings.compute import findings
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.findings.pictures import StoredPictures
from bl_neuro.experiment.installed import missing_substrates, without_substrates
from bl_neuro.experiment.material import Material, Place, loaded_model
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.experiment.provenance import portable_path
from bl_neuro.experiment.running.processes import WORKER, ProcessPool
from bl_neuro.experiment.running.runner import OnChange, Runner, RunState, WorkerPool, run_state
from bl_neuro.experiment.store import Store, Subject
from bl_neuro.interrupts import interrupts_held

RUNS = Path("runs")
"""The default parent folder of results."""


@dataclass(frozen=True)
class Audit:
    """An experiment, the folder of its data and files, and the folder of its results.

    It runs the cells and computes the findings; `bl_neuro.api` adds the report.

        audit = Audit.of("digits", Path("runs/digits"))
        audit.run(jobs=2)
        audit.findings().rows
    """

    experiment: Experiment
    place: Place
    store: Store
    command: str | None = None
    """The command line of this audit for its report, or None."""
    endpoints_allowed: bool = False
    """Whether endpoints may be on other machines."""
    cache: bool = True
    """Whether trained networks and evaluators, and costs, are shared with other runs; see `trained_cache`."""

    @classmethod
    def of(
        cls,
        experiment: str | Path | Experiment,
        out: Path | None = None,
        root: Path | None = None,
        *,
        allow_endpoints: bool = False,
        token_file: Path | None = None,
        cache: bool = True,
    ) -> Audit:
        """The audit of a built-in experiment (by name), of an experiment file, or of an `Experiment`.

        out: folder of the results, runs/NAME by default. root: folder of downloaded datasets, BL_NEURO_DATA by default.
        Relative paths start at the working directory for an `Experiment`, and at the folder of an experiment file.
        allow_endpoints: whether an experiment file may name endpoints on other machines; an `Experiment` may.
        token_file: a file with the token of the endpoints, instead of environment variables. cache: whether trained
        networks and evaluators are shared with other runs.

        Raises:
            ExperimentError: there is no such experiment, or it is invalid.
        """
        if isinstance(experiment, Experiment):
            place = Place(Path.cwd(), root, token_file)
            return cls(experiment, place, Store(out or RUNS / experiment.name), endpoints_allowed=True, cache=cache)
        path = experiment_path(str(experiment))
        read = read_experiment(path)
        words = ["bl-neuro", "audit", portable_path(str(experiment)), *["--allow-endpoints"] * allow_endpoints]
        place = Place(path.parent.absolute(), root, token_file)
        return cls(read, place, Store(out or RUNS / read.name), shlex.join(words), allow_endpoints, cache)

    @cached_property
    def not_run(self) -> dict[str, str]:
        """The substrates that are left out, with the reason; empty without `skip_missing`."""
        return missing_substrates(self.experiment) if self.experiment.skip_missing else {}

    @cached_property
    def runnable(self) -> Experiment:
        """The experiment without the substrates that are left out."""
        return without_substrates(self.experiment, self.not_run) if self.not_run else self.experiment

    @cached_property
    def subject(self) -> Subject:
        """The dataset and the given model of the experiment."""
        model = self.experiment.model
        fingerprint = None if model is None else loaded_model(model, self.place).fingerprint
        return Subject(Path(self.experiment.dataset.name).name, fingerprint)

    @cached_property
    def material(self) -> Material:
        """The data, and the model if one is given."""
        return Material(self.runnable, self.place)

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells of the experiment, each after the cells it needs."""
        return plan_cells(self.runnable, self.material)

    def state(self) -> RunState:
        """Which cells are done, and which are not."""
        return run_state(self.cells, self.store)

    def need_access(self) -> None:
        """Checks that endpoints are allowed and have tokens. Raises the errors of `need_allowed` and `need_tokens`."""
        need_allowed(self.experiment.endpoints, self.endpoints_allowed)
        need_tokens(self.experiment.endpoints, self.place.token_file)

    def run(
        self,
        jobs: int = 1,
        on_change: OnChange | None = None,
        scheduler: str | None = None,
        worker: Sequence[str] = WORKER,
    ) -> RunState:
        """Runs all cells that are not done. Raises the errors of `Runner.run`, `Store.need_subject` and `need_access`.

        jobs: number of worker processes on this machine. scheduler: address of a Dask scheduler whose workers are used
        instead, or "local" for a Dask cluster with `jobs` workers on this machine. worker: command of a worker process.
        """
        self.need_access()
        with self.store.locked():
            self.store.need_subject(self.subject)
            self.store.write_subject(self.subject)
            self.store.write_experiment(self.experiment.model_dump(), self.command)
            cells = self.cells  # a problem with the data or the model is raised before any worker starts
            return Runner(cells, self.store, self._pool(jobs, scheduler, worker), on_change).run()

    def _pool(self, jobs: int, scheduler: str | None, worker: Sequence[str]) -> WorkerPool:
        if scheduler is None:
            return ProcessPool(self.task, jobs, worker)
        try:
            with interrupts_held():
                from bl_neuro.experiment.running.dask_cluster import DaskPool
        except ImportError as error:
            raise MissingDependency("scheduler: Dask is not installed; pip install 'bl-neuro[dask]'") from error
        return DaskPool(self.task, scheduler, jobs, worker)

    @property
    def task(self) -> dict[str, Any]:
        """The first message to a worker."""
        return {
            "experiment": self.runnable.model_dump(),
            "folder": str(self.place.folder),
            "root": None if self.place.root is None else str(self.place.root.absolute()),
            "token_file": None if self.place.token_file is None else str(self.place.token_file.absolute()),
            "out": str(self.store.folder.absolute()),
            "cache": self.cache,
        }

    def findings(self) -> Findings:
        """The findings of the finished cells, as in `results.json`."""
        computed = findings(self.runnable, self.material, self.cells, self.store)
        return computed.model_copy(update={"not_run": self.not_run})

    def pictures(self) -> StoredPictures:
        """The images of all finished cells."""
        return StoredPictures(self.material, self.cells, self.store)
