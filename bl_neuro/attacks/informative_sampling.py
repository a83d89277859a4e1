"""Where a saturating black box is asked: near the search's rates, but where its answers still differ.

Counts and labels stop changing once a class wins clearly, and say nothing while it never wins. So queries for a class
that nearly all of them name are drawn part of the way towards inputs that named other classes, and queries for one
that hardly any names part of the way towards inputs that did name it, whichever class they had been meant for.
"""

from __future__ import annotations

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray, IntArray

RARE, OFTEN = 0.35, 0.65
"""Fractions of queries that name the class, between which sampling stays as it is."""
GAIN, FARTHEST = 1.3, 0.9
MOST_KEPT = 32
"""Inputs that named a class that are kept, the latest."""


class InformativeSampling:
    """Mixtures that queries for `classes` (K) are drawn from. base: rates (*input_shape) that say nothing."""

    def __init__(self, classes: IntArray, base: FloatArray, rng: np.random.Generator) -> None:
        self._classes, self._base, self._rng = classes, base, rng
        self._away = np.zeros(len(classes))
        self._near = np.zeros(len(classes))
        self._kept: dict[int, list[BoolArray]] = {int(label): [] for label in classes}

    def drawn_from(self, rates: FloatArray, pairs: int) -> FloatArray:
        """What `pairs` queries a class are drawn from, (pairs, K, *input_shape), given the search's rates (K, ...)."""
        mixed = np.broadcast_to(rates, (pairs, *rates.shape)).copy()
        for column, label in enumerate(self._classes.tolist()):
            away, near = self._away[column], self._near[column]
            if away > 0:
                others = [frame for other, frames in self._kept.items() if other != label for frame in frames]
                mixed[:, column] += away * (self._some(others, pairs, self._base) - mixed[:, column])
            if near > 0 and self._kept[label]:
                mixed[:, column] += near * (self._some(self._kept[label], pairs, self._base) - mixed[:, column])
        return mixed

    def learn(self, frames: FloatArray, named: IntArray) -> None:
        """Keeps frames (B, *input_shape), 0/1, by the class (B,) that their answers name."""
        for label, kept in self._kept.items():
            kept.extend(frame.astype(bool) for frame in frames[named == label])
            del kept[:-MOST_KEPT]

    def adapt(self, hits: FloatArray, saturates: bool) -> None:
        """Moves towards where more, or fewer, queries name their class: hits (K,) is the fraction that did.

        saturates: whether the answers to queries that all name their class are alike.
        """
        rare, often = hits < RARE, (hits > OFTEN) & saturates
        at_rest = rare & (self._away < 0.02)
        near = np.where(at_rest, self._near * GAIN + 0.05, np.where(rare, self._near, self._near / GAIN))
        away = np.where(often, self._away * GAIN + 0.02, np.where(rare, self._away / GAIN, self._away))
        self._near = np.where(near < 0.02, 0.0, np.minimum(near, FARTHEST))
        self._away = np.minimum(away, FARTHEST)

    def _some(self, frames: list[BoolArray], count: int, otherwise: FloatArray) -> FloatArray:
        """`count` of `frames`, drawn evenly; `otherwise` where there are none."""
        if not frames:
            return otherwise
        chosen = np.stack([frames[index] for index in self._rng.integers(0, len(frames), count)])
        return np.asarray(chosen, dtype=np.float64)
