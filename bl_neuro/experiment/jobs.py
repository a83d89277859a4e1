"""Jobs of an audit: a cell, or several whose networks are trained together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.secrets_cells import SecretDesign
from bl_neuro.membership.shadow_training import GROUP
from bl_neuro.training.plans import TargetDesign
from bl_neuro.training.trainers import trains_together

Job = tuple[Cell, ...]
"""Cells that one worker runs in this order. Where there are several, their networks are trained together before."""
TRAINED_NETWORKS = ("target", "member", "secret_target")
"""The kinds of cells that train a spiking network."""


def design_of(cell: Cell) -> TargetDesign | None:
    """The plan by which a cell trains a spiking network; None if it does not."""
    if cell.kind not in TRAINED_NETWORKS or "fingerprint" in cell.definition or "endpoint" in cell.definition:
        return None
    plan = cell.what.plan if isinstance(cell.what, SecretDesign) else cell.what
    return plan if isinstance(plan, TargetDesign) else None


def jobs_of(cells: Sequence[Cell], workers: int) -> list[Job]:
    """Splits cells into jobs, in order of their first cells.

    Networks of the same plan are trained together, at most `GROUP` of them and no more than occupy all workers. What
    they are trained on may differ.
    """
    alike: dict[object, list[Cell]] = {}
    for cell in cells:
        plan = design_of(cell)
        together = plan is not None and trains_together(plan)
        alike.setdefault((cell.kind, repr(plan)) if together else cell.address, []).append(cell)
    place = {cell.address: number for number, cell in enumerate(cells)}
    jobs = [job for group in alike.values() for job in _parts(group, min(GROUP, math.ceil(len(group) / workers)))]
    return sorted(jobs, key=lambda job: place[job[0].address])


def _parts(group: Sequence[Cell], size: int) -> list[Job]:
    return [tuple(group[start : start + size]) for start in range(0, len(group), size)]
