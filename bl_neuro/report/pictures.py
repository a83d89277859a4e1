"""What a report shows: class means and inversions as arrays, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.errors import ReportError

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]

ROUNDING = 1e-3  # rates may be float32 averages; anything further off is another picture


@dataclass(frozen=True, eq=False)
class InversionPictures:
    """The inversions of one row.

    rates (n, H, W): spikes averaged over time, 0..1. classes (n,): the class each was made for.
    spikes (T, n, ...): uint8, 0 or 1; None where the attacked network does not spike.

    Raises:
        ReportError: a shape or a range is wrong, or the rates are not the mean of the spikes.
    """

    rates: Floats
    classes: Integers
    spikes: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        _check_pictures(self.rates, "rates")
        count = len(self.rates)
        if self.classes.shape != (count,) or not np.issubdtype(self.classes.dtype, np.integer):
            raise ReportError(f"classes: expected {count} integers, found {self.classes.dtype} of {self.classes.shape}")
        if self.spikes is None:
            return
        if self.spikes.dtype != np.uint8 or self.spikes.ndim < 3 or self.spikes.shape[1] != count:
            raise ReportError(
                f"spikes: expected uint8 of shape (T, {count}, ...), "
                f"found {self.spikes.dtype} of shape {self.spikes.shape}"
            )
        if self.spikes.size and self.spikes.max() > 1:
            raise ReportError(f"spikes: expected 0 or 1, found {self.spikes.max()}")
        if self.spikes[0].size == self.rates.size:  # several channels cannot be compared with one picture
            means = self.spikes.mean(axis=0).reshape(self.rates.shape)
            if np.abs(means - self.rates).max() > ROUNDING:
                raise ReportError("rates: expected the mean of the spikes over time, found something else")

    def first_of(self, class_index: int) -> Floats | None:
        """The first inversion of a class, (H, W), or None; not the best, so nobody chose it for its looks."""
        found = np.flatnonzero(self.classes == class_index)
        return self.rates[found[0]] if len(found) else None


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of a report.

    class_means (C, H, W): of the training data, 0..1. class_names: C of them. inversions: by row key.

    Raises:
        ReportError: shapes disagree, a value lies outside 0..1 or a class does not exist.
    """

    class_means: Floats
    class_names: list[str]
    inversions: dict[str, InversionPictures]

    def __post_init__(self) -> None:
        _check_pictures(self.class_means, "class_means")
        classes = len(self.class_means)
        if len(self.class_names) != classes:
            raise ReportError(f"class_names: expected {classes}, found {len(self.class_names)}")
        for key, made in self.inversions.items():
            if made.rates.shape[1:] != self.class_means.shape[1:]:
                raise ReportError(
                    f"inversions {key!r}: expected pictures of shape {self.class_means.shape[1:]}, "
                    f"found {made.rates.shape[1:]}"
                )
            if made.classes.min() < 0 or made.classes.max() >= classes:
                raise ReportError(f"inversions {key!r}: expected classes 0..{classes - 1}")


def _check_pictures(values: Floats, name: str) -> None:
    """ReportError unless the array holds one or more pictures, (n, H, W) in 0..1."""
    if values.ndim != 3 or 0 in values.shape or not np.issubdtype(values.dtype, np.floating):
        raise ReportError(f"{name}: expected floats of shape (n, H, W), found {values.dtype} of {values.shape}")
    if not (values.min() >= -ROUNDING and values.max() <= 1.0 + ROUNDING):  # written so that NaN fails
        raise ReportError(f"{name}: expected values in 0..1, found {values.min()}..{values.max()}")
