"""Common code of white-box attacks whose gradients can be modified by priors in space and time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from bl_neuro.access import WhiteBox
from bl_neuro.attacks.image_prior import AttackWithPriors
from bl_neuro.attacks.inversions import Trace
from bl_neuro.backends.target import Response
from bl_neuro.checks import MAX_STEPS
from bl_neuro.errors import InputError
from bl_neuro.seeding import stream


@dataclass(frozen=True, kw_only=True)
class ShapedGradientAttack(AttackWithPriors[WhiteBox]):
    """A white-box attack whose gradients (T, K, *input_shape) are modified by image priors and a prior in time.

    time_blur: standard deviation of a Gaussian blur over time, in steps; 0 for none. It makes neighbouring steps
    similar.
    """

    time_blur: float = 0.0

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        if 0 <= self.time_blur <= MAX_STEPS:
            return super().problems()
        message = f"time_blur: expected at least 0 steps, at most {MAX_STEPS}, found {self.time_blur}"
        return [*super().problems(), message]

    def assumptions(self, box: WhiteBox) -> list[str]:
        """See `Attack.assumptions`: the priors that apply to this box."""
        steps = [f"neighbouring steps agree (blur of {self.time_blur:g} steps)"] if self.time_blur > 0 else []
        return [*super().assumptions(box), *steps]

    def shaped(self, gradient: Tensor) -> Tensor:
        """`gradient` (T, K, *input_shape) modified by the priors."""
        prior = self.prior(tuple(gradient.shape[2:]))
        values = gradient.numpy()
        if prior.active:
            values = prior.shape(values)
        if self.time_blur > 0:
            from scipy.ndimage import gaussian_filter

            values = gaussian_filter(values, (self.time_blur, *[0] * (values.ndim - 1)), mode="constant")
        return torch.from_numpy(values)


Output = Literal["membrane", "spikes"]
OUTPUTS: tuple[str, ...] = ("membrane", "spikes")
PIECE_VALUES = 2**21
"""Maximum number of values (T x B x widest layer) differentiated at once: a few megabytes, to fit in cache."""
ClassValue = Callable[[Response, Tensor], Tensor]
"""Function of a response to B samples and their intended classes (B,) that returns values (B,)."""


def output_of(response: Response, output: Output) -> Tensor:
    """The output (T, B, C) that the attack optimises. Raises InputError if the substrate does not reveal it."""
    if output == "spikes":
        return response.spikes
    if response.membrane is None:
        raise InputError("this attack needs the membrane potential of the output, which this substrate does not reveal")
    return response.membrane


def class_score(response: Response, classes: Tensor, output: Output) -> Tensor:
    """J = mean over t of softmax(output[t])[c], (B,), in 0..1."""
    return torch.softmax(output_of(response, output), dim=2)[:, torch.arange(len(classes)), classes].mean(0)


def class_log_score(response: Response, classes: Tensor, output: Output) -> Tensor:
    """Mean over t of log softmax(output[t])[c], (B,), at most 0."""
    return torch.log_softmax(output_of(response, output), dim=2)[:, torch.arange(len(classes)), classes].mean(0)


def class_gradient(box: WhiteBox, spikes: Tensor, classes: Tensor, value: ClassValue) -> tuple[Tensor, Tensor]:
    """The value(response, classes), (B,), at spikes (T, B, *input_shape), and its gradient at the spikes.

    The value of a sample depends only on that sample, so a batch is processed in parts.
    """
    rows = samples_at_once(box, len(spikes))
    pieces = [
        box.gradient(some, _for_classes(value, labels))
        for some, labels in zip(spikes.split(rows, dim=1), classes.split(rows))
    ]
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat([values for values, _ in pieces]), torch.cat([gradient for _, gradient in pieces], dim=1)


def samples_at_once(box: WhiteBox, steps: int) -> int:
    """Number of samples with `steps` steps that are differentiated in one part."""
    widest = max(math.prod(shape) for shape in (box.input_shape, *box.network.shapes))
    return max(1, PIECE_VALUES // (steps * widest))


def _for_classes(value: ClassValue, classes: Tensor) -> Callable[[Response], Tensor]:
    return lambda response: value(response, classes)


class ClassStreams:
    """One random generator for each of `classes`, seeded by the seed, the class and its earlier occurrences."""

    def __init__(self, seed: int, purpose: str, classes: Sequence[int]) -> None:
        named: Counter[int] = Counter()
        self._generators = []
        for label in classes:
            self._generators.append(stream(seed, purpose, label, named[label]))
            named[label] += 1

    def uniform(self, *shape: int) -> Tensor:
        """Uniform random numbers (K, *shape) in [0, 1), float32."""
        draws = np.empty((len(self._generators), *shape), dtype=np.float32)
        for generator, into in zip(self._generators, draws):
            generator.random(dtype=np.float32, out=into)
        return torch.from_numpy(draws)


class Counting(Protocol):
    """A box that counts the samples it has run."""

    queries: int


class WhiteBoxTrace:
    """Collects a `Trace`. `queries`: number of samples that the box has run since the start."""

    def __init__(self, box: Counting) -> None:
        self._box, self._before = box, box.queries
        self._entries: list[tuple[int, Tensor, Tensor]] = []

    @property
    def queries(self) -> int:
        """Samples run so far."""
        return self._box.queries - self._before

    def add(self, objective: Tensor, rates: Tensor) -> None:
        """Adds an entry: the objective (K,) and the reconstruction (K, *input_shape) that it was measured at."""
        self._entries.append((self.queries, objective.float(), rates.float()))

    def finished(self) -> Trace:
        """The trace, with one entry for each call of `add`."""
        queries, objectives, rates = zip(*self._entries)
        return Trace(torch.as_tensor(queries), torch.stack(objectives), torch.stack(rates))
