"""Patterns of a few frames in time: nothing is known of how things move, only that they take their time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.input_form import InputForm
from bl_neuro.attacks.typed_settings import settle_types
from bl_neuro.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TimeSegments(InputForm):
    """`count` frames one after the other, each held for as many steps as the others, give or take one.

    A pattern has the channels of all frames, (count C, H, W). density: the share of steps in which a lit pixel of an
    inversion has a spike, 0..1; in a query it has one in all of them, which tells more.
    """

    name: ClassVar[str] = "segments"

    count: int = 4
    density: float = 0.15

    def __post_init__(self) -> None:
        wrong = settle_types(self)
        if wrong:
            raise InputError("; ".join(wrong))
        if self.count < 1:
            raise InputError(f"count: expected a whole number of at least 1, found {self.count}")
        if not 0 < self.density <= 1:
            raise InputError(f"density: expected above 0, at most 1, found {self.density}")

    def pattern_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `InputForm.pattern_shape`."""
        if len(input_shape) != 3:
            raise InputError(f"form: expected images (C, H, W) to follow one another, found inputs {input_shape}")
        channels, height, width = input_shape
        return self.count * channels, height, width

    def spikes(self, patterns: FloatArray, steps: int) -> Tensor:
        """See `InputForm.spikes`."""
        return torch.from_numpy(self._in_time(patterns.astype(np.uint8), steps))

    def rates(self, patterns: FloatArray, steps: int) -> FloatArray:
        """See `InputForm.rates`: of each step."""
        return np.asarray(self.density * self._in_time(patterns, steps))

    def assumptions(self) -> list[str]:
        """See `InputForm.assumptions`."""
        return [f"little changes within {self.count} equal parts of the recording"]

    def _in_time(self, patterns: FloatArray, steps: int) -> FloatArray:
        """The frame of every step, (steps, B, C, H, W)."""
        frames = patterns.reshape(len(patterns), self.count, -1, *patterns.shape[2:]).swapaxes(0, 1)
        return np.asarray(frames[np.arange(steps) * self.count // steps])
