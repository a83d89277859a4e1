"""The course of an attack brought to the query counts at which courses are compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers


def held_at(queries: npt.ArrayLike, values: npt.ArrayLike, grid: npt.ArrayLike) -> FloatArray:
    """What an attack had in hand at each query count of `grid` (H,): the latest of `values` (G, ...) by then.

    queries (G,), not decreasing: spent when each value was reached. An attacker holds the last result until the next
    one, so nothing is interpolated. Returns (H, ...).

    Raises:
        InputError: the grid begins before the first value was there.
    """
    spent, wanted, found = numbers(queries, "queries"), numbers(grid, "grid"), numbers(values, "values")
    if spent.ndim != 1 or len(spent) == 0 or (np.diff(spent) < 0).any():
        raise InputError(f"queries: expected (G,) that does not decrease, found shape {spent.shape}")
    if found.ndim == 0 or len(found) != len(spent) or wanted.ndim != 1:
        raise InputError(f"values: expected {len(spent)} of them and a grid (H,), found {found.shape}, {wanted.shape}")
    if len(wanted) and wanted.min() < spent[0]:
        raise InputError(f"grid: expected at least {spent[0]:g} queries, when the first value was there")
    return np.asarray(found[np.searchsorted(spent, wanted, side="right") - 1])
