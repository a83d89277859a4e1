"""A black box asked with patterns, such as frames held for all steps: each answer becomes a number a class."""

from __future__ import annotations

import numpy as np

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.input_form import InputForm, Still

MOST_BYTES = 2**27
"""Most that the spikes of one call to the box take where each step differs."""


class PatternOracle:
    """The evidence for `classes` (K) in a black box's answers to patterns. `spent`: queries since it was made.

    form: how a pattern becomes an input; by default it is a frame, held for all steps.
    """

    def __init__(self, box: BlackBox, classes: list[int], steps: int, form: InputForm | None = None) -> None:
        self.classes = np.asarray(classes)
        self.steps = steps
        self.form = form or Still()
        self.input_shape = self.form.pattern_shape(box.input_shape)
        """Shape of a pattern."""
        self._box, self._before = box, box.spent

    @property
    def spent(self) -> int:
        """Queries spent since this oracle was made."""
        return self._box.spent - self._before

    @property
    def remaining(self) -> int | None:
        """Queries still to be spent, or None for no limit."""
        return self._box.remaining

    @property
    def reveals(self) -> str:
        """What the box reveals."""
        return self._box.reveals

    def evidence(self, frames: FloatArray) -> FloatArray:
        """How much the answers to patterns (B, *input_shape), 0/1, speak for each class there is: (B, C). Costs B."""
        sample = self.steps * int(np.prod(self._box.input_shape))
        most = len(frames) if self.form.still else max(1, MOST_BYTES // sample)
        parts = [frames[first : first + most] for first in range(0, len(frames), most)]
        answers = [self._box.query(self.form.spikes(part, self.steps)) for part in parts]
        return np.concatenate([evidence(answer, self._box.reveals, self._box.classes) for answer in answers])

    def own(self, evidences: FloatArray) -> FloatArray:
        """Of evidence (n x K, C) for frames (n, K, *input_shape), that for the class each is meant for: (n, K)."""
        count = len(self.classes)
        return np.asarray(evidences.reshape(-1, count, evidences.shape[1])[:, np.arange(count), self.classes])
