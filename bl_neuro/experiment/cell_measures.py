"""Base classes of the measures of cells, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
