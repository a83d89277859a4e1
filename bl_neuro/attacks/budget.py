"""Adapts an attack to a total number of queries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bl_neuro.attacks.base import Attack
from bl_neuro.attacks.settings import changed, setting_value
from bl_neuro.errors import InputError

MOST_TRIED = 2_000
"""Number of larger budgets that are tried to suggest one in an error message."""


def fit_to_budget(attack: Attack[Any], budget: int, inversions: int, kept: Collection[str] = ()) -> Attack[Any]:
    """`attack` with settings that use up to `budget` queries for all `inversions` together.

    kept: the settings that the user gave, which do not change; "attack.blur" is the setting blur of a nested attack.

    Raises:
        InputError: the budget is too small.
    """
    fitted = _adapted(attack, budget, inversions, kept)
    planned = fitted.planned_queries(inversions)
    if planned is None or planned <= budget:
        return fitted
    for enough in range(budget + 1, budget + MOST_TRIED):
        needed = _adapted(attack, enough, inversions, kept).planned_queries(inversions)
        if needed is not None and needed <= enough:
            planned = enough
            break
    raise InputError(
        f"budget: {budget} queries are too few for attack {attack.name} on {inversions} classes; it needs at least "
        f"{planned}"
    )


def _adapted(attack: Attack[Any], budget: int, inversions: int, kept: Collection[str]) -> Attack[Any]:
    adapted: Attack[Any] = changed(
        attack.within(budget, inversions), {path: setting_value(attack, path) for path in kept}
    )
    return adapted
