"""Shadow networks, as membership attacks use them: networks of the attacker, trained on known samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.errors import InputError
from bl_neuro.leakage.checked import numbers

Mask = npt.NDArray[np.bool_]
LEAST_ON_A_SIDE = 2
"""Networks that a sample needs on a side. Otherwise its score says that nothing is known about it."""
LEAST_SHARE = 0.9
"""The smallest share of samples with enough networks."""


@dataclass(frozen=True, eq=False)
class Shadows:
    """What shadow networks answer about samples, and which samples they were trained on.

    values (N, n, D): D statistics of each of N networks for each of n samples. members (N, n): True for the samples
    that a network was trained on, which must be drawn independently for each network. With halves that are balanced
    over the networks, the membership of the target could be read from the number of shadows that were trained on a
    sample.

    Raises:
        InputError: shapes that do not fit, or values that are not finite.
    """

    values: FloatArray
    members: Mask

    def __post_init__(self) -> None:
        values, members = numbers(self.values, "shadows"), np.asarray(self.members)
        if values.ndim != 3 or 0 in values.shape:
            raise InputError(f"shadows: expected (networks, samples, statistics), found {values.shape}")
        if members.dtype != bool or members.shape != values.shape[:2]:
            raise InputError(f"members: expected booleans {values.shape[:2]}, found {members.dtype} of {members.shape}")
        object.__setattr__(self, "values", values)

    @property
    def inside(self) -> IntArray:
        """The number of networks trained on each sample, (n,)."""
        counts: IntArray = self.members.sum(axis=0)
        return counts

    @property
    def outside(self) -> IntArray:
        """The number of networks that were not trained on each sample, (n,)."""
        return len(self.members) - self.inside

    def without(self, network: int) -> Shadows:
        """The other networks, when `network` is the target."""
        others = np.arange(len(self.members)) != network
        return Shadows(self.values[others], self.members[others])

    def on_both_sides(self) -> Mask:
        """The samples (n,) with enough networks on both sides. Raises InputError if these are too few."""
        return self._most(np.minimum(self.inside, self.outside) >= LEAST_ON_A_SIDE, "on both sides of a sample")

    def outside_enough(self) -> Mask:
        """The samples (n,) on which enough networks were not trained. Raises InputError if these are too few."""
        return self._most(self.outside >= LEAST_ON_A_SIDE, "that were not trained on a sample")

    def _most(self, enough: Mask, words: str) -> Mask:
        if enough.mean() < LEAST_SHARE:
            raise InputError(
                f"shadows: expected at least {LEAST_ON_A_SIDE} networks {words} for most samples, found them for "
                f"{int(enough.sum())} of {len(enough)} samples among {len(self.members)} networks; train more"
            )
        return enough


def target_values(values: npt.ArrayLike, shadows: Shadows) -> FloatArray:
    """The statistics (n, D) of the target, checked against those of the shadow networks."""
    checked = numbers(values, "values")
    if checked.shape != shadows.values.shape[1:]:
        raise InputError(f"values: expected {shadows.values.shape[1:]}, as the shadows have, found {checked.shape}")
    return checked
