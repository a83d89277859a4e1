"""The durations of finished cells on this machine, in the cache folder: `costs.jsonl`, a line of JSON for each."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bl_neuro.experiment.cell_cost import CellCost
from bl_neuro.files import write_text

NAME = "costs.jsonl"
MOST_BYTES = 4 * 2**20
"""Size of the file beyond which its older half is removed."""


class RecordedCost(BaseModel):
    """A line of the file. machine: see `machine_digest`; workload, similar, amount: see `CellCost`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    workload: str
    similar: list[str]
    amount: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class CostLog:
    """The file in the cache folder `folder`. What cannot be read or written is left out: costs are only estimates."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def add(self, cost: CellCost, seconds: float) -> None:
        """Appends the duration of a cell. Lines are short, so that several processes may append at once."""
        line = RecordedCost(machine=machine_digest(), **cost._asdict(), seconds=seconds).model_dump_json() + "\n"
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
                size = file.tell()
            if size > MOST_BYTES:
                lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
                write_text(self.path, "".join(lines[len(lines) // 2 :]))

    def read(self) -> list[RecordedCost]:
        """The costs that were recorded on this machine. Damaged lines are left out."""
        try:
            with self.path.open("rb") as file:
                lines = file.read(2 * MOST_BYTES).splitlines()
        except OSError:
            return []
        return [cost for cost in _parsed(lines) if cost.machine == machine_digest()]


def _parsed(lines: Sequence[bytes]) -> Iterable[RecordedCost]:
    for line in lines:
        with suppress(ValidationError):
            yield RecordedCost.model_validate_json(line)


@cache
def machine_digest() -> str:
    """Identifies this machine, since the cache folder may be shared, without its name."""
    facts = (platform.node(), platform.machine(), platform.processor(), os.cpu_count())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
