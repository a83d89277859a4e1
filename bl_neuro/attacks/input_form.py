"""The search space of black-box attacks: binary patterns, and how a pattern becomes an input in time."""

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
    """A deterministic map from patterns (B, *pattern_shape) to spikes (T, B, *input_shape).

    `name` is its name in settings. still: whether all steps of a query are equal, so that it is stored as one frame.
    """

    name: ClassVar[str]
    still: ClassVar[bool] = False

    @abstractmethod
    def pattern_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a pattern for inputs of this shape. Raises InputError if the form does not apply to them."""

    @abstractmethod
    def spikes(self, patterns: FloatArray, steps: int) -> Tensor:
        """The queries (steps, B, *input_shape), 0 or 1, for binary patterns (B, *pattern_shape)."""

    @abstractmethod
    def rates(self, patterns: FloatArray, steps: int) -> FloatArray:
        """Spike rates in 0..1 for patterns (B, *pattern_shape) in 0..1.

        (B, *input_shape) if the form is still, else (steps, B, *input_shape).
        """

    @abstractmethod
    def assumptions(self) -> list[str]:
        """Descriptions of the assumptions about inputs."""

    def images(self, patterns: FloatArray, steps: int) -> FloatArray:
        """The mean frames (B, *input_shape) of the rates of `patterns`."""
        rates = self.rates(patterns, steps)
        return rates if self.still else np.asarray(rates.mean(axis=0))

    def settings(self) -> dict[str, Any]:
        """Its name and every setting, as JSON-ready values."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Still(InputForm):
    """A constant frame in queries; the spikes of an inversion are independent in every step, as in a rate code."""

    name: ClassVar[str] = "still"
    still: ClassVar[bool] = True

    def pattern_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """See `InputForm.pattern_shape`: the shape of a frame."""
        return input_shape

    def spikes(self, patterns: FloatArray, steps: int) -> Tensor:
        """See `InputForm.spikes`: an expanded view, without copying."""
        return torch.from_numpy(patterns.astype(np.uint8))[None].expand(steps, *patterns.shape)

    def rates(self, patterns: FloatArray, steps: int) -> FloatArray:
        """See `InputForm.rates`: the patterns themselves."""
        return patterns

    def assumptions(self) -> list[str]:
        """See `InputForm.assumptions`: nothing."""
        return []


@dataclass(frozen=True, kw_only=True)
class TimeSegments(InputForm):
    """A sequence of `count` frames, each held for the same number of steps (plus or minus one).

    A pattern contains the channels of all frames, (count C, H, W). density: probability that a set pixel of an
    inversion spikes in a step, 0..1. In queries it spikes in every step, which gives more information.
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
            raise InputError(f"form: expected inputs that are images (C, H, W), found shape {input_shape}")
        channels, height, width = input_shape
        return self.count * channels, height, width

    def spikes(self, patterns: FloatArray, steps: int) -> Tensor:
        """See `InputForm.spikes`."""
        return torch.from_numpy(self._in_time(patterns.astype(np.uint8), steps))

    def rates(self, patterns: FloatArray, steps: int) -> FloatArray:
        """See `InputForm.rates`: one frame per step."""
        return np.asarray(self.density * self._in_time(patterns, steps))

    def assumptions(self) -> list[str]:
        """See `InputForm.assumptions`."""
        return [f"little changes within {self.count} equal parts of the recording"]

    def _in_time(self, patterns: FloatArray, steps: int) -> FloatArray:
        """The frame of every step, (steps, B, C, H, W)."""
        frames = patterns.reshape(len(patterns), self.count, -1, *patterns.shape[2:]).swapaxes(0, 1)
        return np.asarray(frames[np.arange(steps) * self.count // steps])
