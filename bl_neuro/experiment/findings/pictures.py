"""Reads the images of an audit's cells from its store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import load_inversions
from bl_neuro.errors import ModelFileError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.curves import Course
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import ATTACK, JUDGEMENT
from bl_neuro.experiment.store import Store


class StoredPictures:
    """Implements `CellPictures` with the store of an audit."""

    def __init__(self, material: Material, cells: Sequence[Cell], store: Store) -> None:
        self.store, self.material = store, material
        self._attacks = {cell.address: cell.what for cell in cells if cell.kind == "attack"}
        self.judgements = {
            (cell.needs[0].address, str(cell.facts["evaluator"])): cell.address
            for cell in cells
            if cell.kind == "judgement"
        }

    @cached_property
    def class_means(self) -> FloatArray:
        """Mean image of each class, (classes, C, H, W), of the samples that `Material.class_means` uses."""
        means: FloatArray = np.clip(self.material.class_means, 0.0, 1.0)
        return means.reshape(-1, *self.material.shape)

    def images(self, address: str) -> FloatArray:
        """Inversions of the attack at `address`, (K, C, H, W). Raises ModelFileError if they no longer exist."""
        result = self.store.read(address)
        if result is None or result.tensors is None:
            raise ModelFileError(f"{address}: its inversions no longer exist; run the audit again")
        images = self._attacks[address].images(load_inversions(result.tensors))
        return np.asarray(images.reshape(-1, *self.material.shape).double())

    def course(self, address: str, evaluator: str) -> AttackCourse | None:
        """The progress stored in the judgement of that cell."""
        attack = self.store.read(address)
        judgement = self.store.read(self.judgements.get((address, evaluator), ""))
        if attack is None or judgement is None:
            return None
        course = Course.of(ATTACK.typed(attack.measures), JUDGEMENT.typed(judgement.measures))
        return None if course is None else AttackCourse(course.spent, course.along("confidence"), course.along("hit"))


@dataclass(frozen=True, eq=False)
class AttackCourse:
    """The progress of an attack: queries per class (G,), increasing, with mean confidence and hits (G,), 0..1.

    The last entry judges the final inversions, earlier ones the spike rates reached by then.
    """

    queries: FloatArray
    confidence: FloatArray
    hits: FloatArray


class CellPictures(Protocol):
    """The images of an audit, read on demand."""

    @property
    def class_means(self) -> FloatArray:
        """Mean image of each class, (classes, C, H, W) in 0..1; see `Findings.overlap` for the samples."""

    def images(self, address: str) -> FloatArray:
        """Inversions of the attack at `address`, as evaluators see them, (K, C, H, W) in 0..1."""

    def course(self, address: str, evaluator: str) -> AttackCourse | None:
        """Progress of the attack at `address` under `evaluator`; None if it was not stored."""
