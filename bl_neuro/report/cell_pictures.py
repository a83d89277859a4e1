"""What a page asks of the cells of an audit: their pictures, and the course of each inversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bl_neuro.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Course:
    """Along an attack: queries a class (G,), rising, and an evaluator's mean confidence and hits (G,), 0..1."""

    queries: FloatArray
    confidence: FloatArray
    hits: FloatArray


class CellPictures(Protocol):
    """The pictures of an audit, read when they are asked for."""

    @property
    def class_means(self) -> FloatArray:
        """Mean picture of each class, (classes, C, H, W), 0..1; `AuditResults.overlap` says of which samples."""

    def images(self, address: str) -> FloatArray:
        """Inversions of the attack at `address`, spikes averaged over time, (K, C, H, W), 0..1."""

    def course(self, address: str, evaluator: str) -> Course | None:
        """Of the attack at `address` as `evaluator` saw it; None where none was kept."""
