"""An audit from its file to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bl_neuro.experiment.boxes import need_tokens
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.experiment_file import experiment_path, read_experiment
from bl_neuro.experiment.findings.compute import findings
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.findings.pictures import StoredPictures
from bl_neuro.experiment.material import Material, Place
from bl_neuro.experiment.plan import plan_cells
from bl_neuro.experiment.provenance import portable_path
from bl_neuro.experiment.running.dask_cluster import DaskCrew
from bl_neuro.experiment.running.processes import WORKER, Processes
from bl_neuro.experiment.running.runner import Crew, Runner, Standing, Told, standing
from bl_neuro.experiment.store import Store
from bl_neuro.report import write_report


@dataclass(frozen=True)
class Audit:
    """An experiment, where its files are, and the folder of its results.

    audit = Audit.of("digits", Path("runs/digits"))
    audit.run(jobs=2)
    audit.findings().rows
    """

    experiment: Experiment
    place: Place
    store: Store
    command: str | None = None
    """What starts this audit, as its report says; the folder of results keeps that of the first run."""

    @classmethod
    def of(cls, named: str, out: Path | None = None, root: Path | None = None) -> Audit:
        """The ready-made experiment of that name or the one in that file; results go to `out`, or runs/NAME.

        Raises:
            ExperimentError: there is none, or it says what cannot be.
        """
        path = experiment_path(named)
        experiment = read_experiment(path)
        store = Store(out or Path("runs") / experiment.name)
        return cls(experiment, Place(path.parent.absolute(), root), store, f"Audit.of({portable_path(named)!r}).run()")

    @cached_property
    def material(self) -> Material:
        """The data, and the model if one is given."""
        return Material(self.experiment, self.place)

    @cached_property
    def cells(self) -> list[Cell]:
        """Everything there is to do."""
        return plan_cells(self.experiment, self.material)

    def standing(self) -> Standing:
        """What is done, and what is not."""
        return standing(self.cells, self.store)

    def run(
        self, jobs: int = 1, told: Told | None = None, scheduler: str | None = None, worker: Sequence[str] = WORKER
    ) -> Standing:
        """Runs what is not done, and writes results.json, report.html and summary.md.

        See `Runner.run` for what it raises.

        jobs: worker processes on this machine. scheduler: the address of a Dask scheduler, whose workers are used
        instead; or "local", for a Dask cluster of `jobs` workers here. worker: the command of a worker process.
        """
        with self.store.locked():
            self.store.write_experiment(self.experiment.model_dump(), self.command)
            cells = self.cells  # what is refused is so before anything starts
            need_tokens(self.experiment.endpoints)
            crew: Crew
            if scheduler is None:
                crew = Processes(self.task, jobs, worker)
            else:
                crew = DaskCrew(self.task, scheduler, jobs, worker)
            found = Runner(cells, self.store, crew, told).run()
            write_report(self.findings(), self.pictures(), self.store.folder)
        return found

    @property
    def task(self) -> dict[str, Any]:
        """What a worker is told first."""
        return {
            "experiment": self.experiment.model_dump(),
            "folder": str(self.place.folder),
            "root": None if self.place.root is None else str(self.place.root.absolute()),
            "out": str(self.store.folder.absolute()),
        }

    def findings(self) -> Findings:
        """What was measured so far, as results.json holds it."""
        return findings(self.experiment, self.material, self.cells, self.store)

    def pictures(self) -> StoredPictures:
        """Of every cell that is done."""
        return StoredPictures(self.material, self.cells, self.store)
