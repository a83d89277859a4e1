"""Where a saturating black box is asked: near the search's rates, but where its answers still differ.

Counts and labels stop changing once a class wins clearly, and say nothing while it never wins. So queries for a class
that nearly all of them name are drawn part of the way towards inputs that named other classes, and queries for one
that hardly any names part of the way towards inputs that did name it, whichever class they had been meant for.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray, IntArray

Contrast = Literal["others", "mixed"]
CONTRASTS: tuple[str, ...] = ("others", "mixed")
RARE, OFTEN = 0.35, 0.65
"""Fractions of queries that name the class, between which sampling stays as it is."""
GAIN, HALFWAY, FARTHEST = 1.3, 0.5, 0.9
MOST_KEPT = 32
"""Inputs that named a class that are kept, the latest."""


class InformativeSampling:
    """Mixtures that queries for `classes` (K) are drawn from. base: rates (*input_shape) that say nothing.

    contrast: where to go from what nearly always names its class, towards inputs that named "others", or for every
    other pair to the base, "mixed". Against others a class shows what sets it apart, against the base what makes it up.
    """

    def __init__(self, classes: IntArray, base: FloatArray, contrast: Contrast, rng: np.random.Generator) -> None:
        self._classes, self._base, self._contrast, self._rng = classes, base, contrast, rng
        self._silent = -1
        self._away = np.zeros(len(classes))
        self._near = np.zeros(len(classes))
        self._kept: dict[int, list[BoolArray]] = {int(label): [] for label in classes}

    @property
    def away(self) -> FloatArray:
        """How far from the search's rates queries are drawn, each class, (K,), 0..0.9."""
        return self._away

    def named_by_silence(self, label: int) -> None:
        """Class `label` is what answers name where nothing speaks.

        It would win by dimming whatever it is mixed with. So what named others is laid over its own, from the start.
        """
        self._silent = label
        self._away[self._classes == label] = HALFWAY

    def drawn_from(self, rates: FloatArray, pairs: int) -> FloatArray:
        """What `pairs` queries a class are drawn from, (pairs, K, *input_shape), given the search's rates (K, ...)."""
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

    def _contrasting(self, label: int, count: int) -> FloatArray:
        """What speaks against class `label`, to mix `count` queries with."""
        chosen = np.broadcast_to(self._naming_others(label, count), (count, *self._base.shape)).copy()
        if self._contrast == "mixed":
            chosen[1::2] = self._base
        return chosen

    def _naming_others(self, label: int, count: int) -> FloatArray:
        """`count` inputs that named other classes than `label`; the base where there are none."""
        others = [frame for other, frames in self._kept.items() if other != label for frame in frames]
        return self._some(others, count, self._base)

    def _some(self, frames: list[BoolArray], count: int, otherwise: FloatArray) -> FloatArray:
        """`count` of `frames`, drawn evenly; `otherwise` where there are none."""
        if not frames:
            return otherwise
        chosen = np.stack([frames[index] for index in self._rng.integers(0, len(frames), count)])
        return np.asarray(chosen, dtype=np.float64)
