"""What a black-box search draws, a pattern of 0s and 1s, and how that becomes an input in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.settings import settle_types
from bl_neuro.errors import InputError


@dataclass(frozen=True)
class InputForm(ABC):
    """A frozen way from patterns (B, *pattern_shape) to spikes (T, B, *input_shape). It takes no chance of its own.

    `name` is what settings call it. still: all steps of a query are alike, so that it takes the memory of one.
    """

    name: ClassVar[str]
    still: ClassVar[bool] = False

    @abstractmethod
    def pattern_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a pattern for inputs of this shape. InputError where the form has none."""

    @abstractmethod
    def spikes(self, patterns: FloatArray, steps: int) -> Tensor:
        """The queries (steps, B, *input_shape), 0/1, of patterns (B, *pattern_shape) of 0 and 1."""

    @abstractmethod
    def rates(self, patterns: FloatArray, steps: int) -> FloatArray:
        """Spike rates, 0..1, of patterns (B, *pattern_shape) in 0..1.

        (B, *input_shape) where the form is still, (steps, B, *input_shape) where it is not.
        """

    @abstractmethod
    def assumptions(self) -> list[str]:
        """What is taken for granted about inputs, in words."""

    def images(self, patterns: FloatArray, steps: int) -> FloatArray:
        """The mean frames (B, *input_shape) of the rates of `patterns`."""
        rates = self.rates(patterns, steps)
        return rates if self.still else np.asarray(rates.mean(axis=0))

    def settings(self) -> dict[str, Any]:
        """Its name and every setting, as JSON-ready values."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Still(InputForm):
    """A frame held for all steps of a query; the inversion draws it anew in every step, as a rate code does."""

    name: ClassVar[str] = "still"
    still: ClassVar[bool] = True

    def pattern_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `InputForm.pattern_shape`: that of a frame."""
        return input_shape

    def spikes(self, patterns: FloatArray, steps: int) -> Tensor:
        """See `InputForm.spikes`: a view, without a copy for each step."""
        return torch.from_numpy(patterns.astype(np.uint8))[None].expand(steps, *patterns.shape)

    def rates(self, patterns: FloatArray, steps: int) -> FloatArray:
        """See `InputForm.rates`: the patterns themselves."""
        return patterns

    def assumptions(self) -> list[str]:
        """See `InputForm.assumptions`: nothing."""
        return []


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
        problems = settle_types(self)
        if problems:
            raise InputError("; ".join(problems))
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
