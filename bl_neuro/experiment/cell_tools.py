"""What the functions that compute cells share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bl_neuro.backends import Target
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.material import Material
from bl_neuro.network import Network
from bl_neuro.training import Checkpoint

Made = tuple[CellMeasures, Callable[[Path], None] | None]
"""The measures of a cell, and the function that writes its tensors."""


class Tools(NamedTuple):
    """What the work on cells shares.

    opened: the target at an address, which the cell needs first, on a substrate. file: the tensors of a finished cell.
    measured: its measures. checkpoint: of the training in a cell. network: trained by a cell; see `NetworkTraining`.
    """

    material: Material
    opened: Callable[[Cell, str, str], Target]
    file: Callable[[Cell], Path]
    measured: Callable[[Cell], CellMeasures]
    checkpoint: Callable[[Cell], Checkpoint]
    network: Callable[[Cell], Network]
