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
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import JUDGEMENT
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
        result = self.store.read(self.judgements.get((address, evaluator), ""))
        measured = None if result is None else JUDGEMENT.typed(result.measures)
        if measured is None or not measured.course.queries:
            return None
        queries = np.asarray(measured.course.queries, dtype=np.float64) / len(measured.classes)
        confidence, hits = np.asarray(measured.course.confidence), np.asarray(measured.course.hits, dtype=np.float64)
        confidence[-1], hits[-1] = np.mean(measured.confidence), np.mean(measured.hits)  # of the final inversions
        return AttackCourse(queries, confidence, hits)


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
