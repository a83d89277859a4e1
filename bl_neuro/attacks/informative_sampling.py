"""Chooses queries of a black box near the current rates whose answers still carry information.

Counts and labels no longer change once a class clearly wins, and carry no information if it never wins. If nearly all
queries for a class are assigned to it, they are moved towards inputs that were assigned to other classes. If hardly any
are, they are moved towards inputs that were assigned to it, including queries for other classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray, IntArray

Contrast = Literal["others", "mixed"]
CONTRASTS: tuple[str, ...] = ("others", "mixed")
RARE, OFTEN = 0.35, 0.65
"""Fractions of queries assigned to their class between which the distance does not change."""
GAIN, HALFWAY, FARTHEST = 1.3, 0.5, 0.9
MOST_KEPT = 32
"""Maximum number of stored inputs per class, the latest ones."""


class InformativeSampling:
    """The mixtures that queries for `classes` (K) are drawn from. base: neutral rates (*input_shape).

    contrast: what the queries of a class are mixed with if nearly all of them are assigned to it: "others", inputs of
    other classes, or "mixed", alternately those and `base`. Contrast with others shows what distinguishes a class,
    contrast with `base` shows what it consists of.
    """

    def __init__(self, classes: IntArray, base: FloatArray, contrast: Contrast, rng: np.random.Generator) -> None:
        self._classes, self._base, self._contrast, self._rng = classes, base, contrast, rng
        self._silent = -1
        self._away = np.zeros(len(classes))
        self._near = np.zeros(len(classes))
        self._kept: dict[int, list[BoolArray]] = {int(label): [] for label in classes}

    @property
    def away(self) -> FloatArray:
        """Distance of queries from the current rates for each class, (K,), in 0..0.9."""
        return self._away

    def named_by_silence(self, label: int) -> None:
        """Class `label` is the predicted class if no output spikes.

        Such a class would win simply by darkening its input. Inputs of other classes are therefore always added to its
        queries.
        """
        self._silent = label
        self._away[self._classes == label] = HALFWAY

    def drawn_from(self, rates: FloatArray, pairs: int) -> FloatArray:
        """The rates that queries are drawn from, (pairs, K, *input_shape), given the current rates (K, ...)."""
        mixed = np.broadcast_to(rates, (pairs, *rates.shape)).copy()
        for column, label in enumerate(self._classes.tolist()):
            away, near = self._away[column], self._near[column]
            if away > 0 and label == self._silent:
                mixed[:, column] += away * self._naming_others(label, pairs) * (1 - mixed[:, column])
            elif away > 0:
                mixed[:, column] += away * (self._contrasting(label, pairs) - mixed[:, column])
            if near > 0 and self._kept[label]:
                mixed[:, column] += near * (self._some(self._kept[label], pairs, self._base) - mixed[:, column])
        return mixed

    def learn(self, frames: FloatArray, named: IntArray) -> None:
        """Stores frames (B, *input_shape), 0 or 1, under the classes (B,) that were predicted for them."""
        for label, kept in self._kept.items():
            kept.extend(frame.astype(bool) for frame in frames[named == label])
            del kept[:-MOST_KEPT]

    def adapt(self, hits: FloatArray, saturates: bool) -> None:
        """Adapts the distance to the fraction of queries assigned to their class, hits (K,).

        saturates: whether all answers that predict a class are equal.
        """
        rare, often = hits < RARE, (hits > OFTEN) & saturates
        at_rest = rare & (self._away < 0.02)
        near = np.where(at_rest, self._near * GAIN + 0.05, np.where(rare, self._near, self._near / GAIN))
        away = np.where(often, self._away * GAIN + 0.02, np.where(rare, self._away / GAIN, self._away))
        self._near = np.where(near < 0.02, 0.0, np.minimum(near, FARTHEST))
        self._away = np.minimum(away, FARTHEST)

    def _contrasting(self, label: int, count: int) -> FloatArray:
        """`count` inputs that speak against class `label`, to mix queries with."""
        chosen = np.broadcast_to(self._naming_others(label, count), (count, *self._base.shape)).copy()
        if self._contrast == "mixed":
            chosen[1::2] = self._base
        return chosen

    def _naming_others(self, label: int, count: int) -> FloatArray:
        """`count` inputs that were assigned to classes other than `label`, or the base if there are none."""
        others = [frame for other, frames in self._kept.items() if other != label for frame in frames]
        return self._some(others, count, self._base)

    def _some(self, frames: list[BoolArray], count: int, otherwise: FloatArray) -> FloatArray:
        """`count` randomly chosen `frames`, or `otherwise` if there are none."""
        if not frames:
            return otherwise
        chosen = np.stack([frames[index] for index in self._rng.integers(0, len(frames), count)])
        return np.asarray(chosen, dtype=np.float64)
