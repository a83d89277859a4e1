"""What the tables of an experiment's file have in common, and the types of values that stand in several of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MOST_SEEDS = 1000
SETTING: Any = "setting"
"""The type of an error of pydantic's whose message says all, also what was found."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Count = Annotated[int, Field(ge=1)]
Restarts = Annotated[int, Field(ge=1, le=1000)]
Names = Annotated[list[str], Field(min_length=1)]


def _counted(value: Any) -> Any:
    """So many seeds, as the seeds 0, 1, ..."""
    if isinstance(value, list):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SEEDS:
        raise PydanticCustomError("seeds", f"expected 1 to {MOST_SEEDS} seeds or a list of seeds")
    return list(range(value))


Seeds = Annotated[list[Seed], BeforeValidator(_counted), Field(min_length=1, max_length=MOST_SEEDS)]


class Part(BaseModel):
    """A table of the file: nothing unknown in it, no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
