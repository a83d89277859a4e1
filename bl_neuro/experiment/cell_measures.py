"""The base classes of the measures of cells, and common types of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bl_neuro.experiment.cells import Cell
from bl_neuro.rounding import ROUNDING

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A fraction that was counted, 0..1."""
Probability = Annotated[float, Field(ge=-ROUNDING, le=1.0 + ROUNDING)]
"""An evaluator's probability, 0..1 up to rounding."""
Hit = Annotated[int, Field(ge=0, le=1)]
"""1 for a hit, 0 for a miss."""


class CellMeasures(BaseModel):
    """Base class: rejects unknown and missing fields, values of other types, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        return self.model_dump(mode="json")


Counted = TypeVar("Counted", bound="CountedMeasures")


class CountedMeasures(CellMeasures):
    """Base class for measures with lists that have one entry per inversion, or per point of a course."""

    _counted: ClassVar[tuple[str, ...]]
    """The names of these lists. One that is None is not counted."""

    @model_validator(mode="after")
    def _need_one_length(self: Counted) -> Counted:
        lengths = {name: len(values) for name in self._counted if (values := getattr(self, name)) is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"expected lists of one length, found {lengths}")
        return self


Measures = Mapping[str, CellMeasures]
"""Measures of finished cells, by address."""
M = TypeVar("M", bound=CellMeasures, covariant=True)


@dataclass(frozen=True)
class CellKind(Generic[M]):
    """A kind of cells and the model of their measures."""

    name: str
    model: type[M]

    def finished(self, cells: Sequence[Cell], measures: Measures) -> list[tuple[Cell, M]]:
        """The finished cells of this kind among `cells`, in order, each with its measures."""
        own = [(cell, self.of(cell, measures)) for cell in cells if cell.kind == self.name]
        return [(cell, measured) for cell, measured in own if measured is not None]

    def of(self, cell: Cell, measures: Measures) -> M | None:
        """The measures of a cell of this kind; None if it is not finished."""
        measured = measures.get(cell.address)
        return None if measured is None else self.typed(measured)

    def typed(self, measured: CellMeasures) -> M:
        """`measured`, which must belong to a cell of this kind."""
        if not isinstance(measured, self.model):
            raise TypeError(f"{self.name}: expected {self.model.__name__}, found {type(measured).__name__}")
        return measured
