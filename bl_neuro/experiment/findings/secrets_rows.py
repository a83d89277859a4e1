"""What identifies the rows of findings on planted secrets, from finished cells or from a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bl_neuro.attacks.base import Access
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.findings.verdicts import PairedArrays
from bl_neuro.experiment.secrets_measures import SecretGuessMeasures

Guesses = dict[int, SecretGuessMeasures]
"""By target seed."""


class RowName(NamedTuple):
    """What identifies a row. budget: queries per class, None for a white box."""

    substrate: str
    attack: str
    reveals: str
    access: Access
    budget: int | None


class InformedName(NamedTuple):
    """What identifies an informed attacker. images: public images per class and choice."""

    substrate: str
    reveals: str
    images: int


def informed_row(substrate: str, reveals: str, images: int) -> RowName:
    """The row of an informed attacker, whose budget is its number of public images."""
    return RowName(substrate, "informed", reveals, "black_box", images)


def planned_rows(cells: Sequence[Cell]) -> list[RowName]:
    """The rows that the cells of a plan give, those of informed attackers among them."""
    names = [row_name(cell) for cell in cells if cell.kind == "secret_reading"]
    informed = [cell.facts for cell in cells if cell.kind == "secret_informed"]
    return [*names, *(informed_row(facts["substrate"], facts["reveals"], facts["images"]) for facts in informed)]


def row_name(cell: Cell) -> RowName:
    """The row of a cell of kind "secret_reading"."""
    facts, access = cell.facts, cell.needs[0].what.access
    return RowName(facts["substrate"], facts["attack"], facts["reveals"], access, facts["queries"])


def hits_of_both(both: Sequence[tuple[Guesses, Guesses]]) -> PairedArrays | None:
    """Hits in pairs of rows, one array for each target that all of them have."""
    seeds = sorted(set.intersection(*({*one} & {*other} for one, other in both))) if both else []
    if not seeds:
        return None
    return (
        [np.concatenate([np.array(one[seed].hits, float) for one, _ in both]) for seed in seeds],
        [np.concatenate([np.array(other[seed].hits, float) for _, other in both]) for seed in seeds],
    )
