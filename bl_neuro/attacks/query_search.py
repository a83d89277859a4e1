"""What searches through a black box share: how often they ask, how they begin, what they take for granted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Progress
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.image_prior import FARTHEST, AttackWithPriors, ImagePrior
from bl_neuro.attacks.input_form import InputForm, Still
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.warm_start import scribbles
from bl_neuro.errors import BlNeuroError


@dataclass(frozen=True, kw_only=True)
class QuerySearch(AttackWithPriors[BlackBox]):
    """A search for an input of each class that sees nothing but answers to queries.

    queries: a class, after the warm start. warm_start: probes, shared by all classes. population: queries a class and
    generation. base_rate: where rates start, 0..1, in the middle of the window. warm_amplitude: standard deviation of
    the first guess around it. probe_densities: range of the probes' densities. probe_blur: in pixels; above 0, probes
    of an image are blobs. pen: in pixels; above 0, they are strokes of a pen of this radius instead. stroke: in pixels,
    how far neighbours share their chance in a query. jitter: in whole pixels, how far a query is shifted by chance, so
    that what is found means its class a little off its place too.

    patience: generations without a gain after which the search ends, with status `no_gain`; None for no such end.

    Every query counts against the box's budget, the warm start included. Where the budget ends first, the search is
    returned as it stands, with status `budget_spent`; where `progress` raises `StopAttack`, with status `stopped`. An
    error of the box, as of an endpoint that went away, comes out with what was found until then (`error.partial`).
    """

    access: ClassVar[str] = "black_box"

    queries: int = 512
    warm_start: int = 640
    population: int = 16
    blur: float = 0.6
    base_rate: float = 0.2
    warm_amplitude: float = 0.15
    probe_densities: tuple[float, float] = (0.1, 0.5)
    probe_blur: float = 0.0
    pen: float = 0.0
    stroke: float = 0.0
    jitter: int = 0
    patience: int | None = None

    @classmethod
    def fewest(cls) -> dict[str, int]:
        """The least that each whole number among the settings may be."""
        return {"queries": 1, "warm_start": 0, "population": 1, "jitter": 0, "patience": 1}

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        wrong = [
            f"{name}: expected a whole number of at least {low}, found {getattr(self, name)}"
            for name, low in self.fewest().items()
            if getattr(self, name) is not None and getattr(self, name) < low
        ]
        low, high = self.probe_densities
        rules = [
            (0 < self.base_rate < 1, f"base_rate: expected between 0 and 1, found {self.base_rate}"),
            (0 <= low <= high <= 1, f"probe_densities: expected two rising values in 0..1, found {low}, {high}"),
            (
                0 <= self.warm_amplitude < math.inf,
                f"warm_amplitude: expected at least 0, found {self.warm_amplitude}",
            ),
            *(
                (0 <= getattr(self, name) <= FARTHEST, f"{name}: expected 0..{FARTHEST}, found {getattr(self, name)}")
                for name in ("probe_blur", "pen", "stroke", "jitter")
            ),
        ]
        return [*super().problems(), *wrong, *(message for holds, message in rules if not holds)]

    def assumptions(self, box: BlackBox) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box."""
        return self.image_assumptions(self.prior(box.input_shape))

    def image_assumptions(self, prior: ImagePrior) -> list[str]:
        """What is taken for granted of inputs that `prior` is for."""
        if not prior.is_image:
            return prior.active
        pen = [
            f"what is seen is a pen's stroke (radius {self.pen:g} pixels) in the middle, over half the image or more"
        ]
        stroke = [f"lit pixels come in strokes (chance shared over {self.stroke:g} pixels)"] if self.stroke > 0 else []
        jitter = [f"an image a little off its place means the same (by {self.jitter} pixels)"] if self.jitter else []
        return [*prior.active, *(pen if self.pen > 0 else []), *stroke, *jitter]

    def probes(self, count: int, prior: ImagePrior, rng: np.random.Generator) -> FloatArray:
        """The warm start's binary inputs, (count, *input_shape)."""
        if self.pen == 0 or prior.sides is None:
            return prior.probes(count, self.probe_densities, self.probe_blur, rng)
        return prior.in_every_channel(scribbles(count, *prior.sides, self.pen, rng))

    def shared_settings(self) -> dict[str, Any]:
        """The settings that every `QuerySearch` has, by name, to give to another one."""
        return {field.name: getattr(self, field.name) for field in fields(QuerySearch)}


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


LEAST_GAIN = 0.01
"""A rise of what was attained, averaged over the classes, that counts as a gain."""
MEMORY = 0.7
"""How much of the average of what was attained stays from one generation to the next."""


class StopAttack(Exception):
    """Raised by a `progress` callback to end a search of queries or a transfer: what it found is returned.

    Its status is `stopped` then. A white-box attack has no such end: the exception comes out of its call, and nothing
    is returned. No `BlNeuroError`, since nothing went wrong: what handles errors should not take it for one.
    """


@contextmanager
def keeping(found: Callable[[], Inversions]) -> Iterator[None]:
    """An error that ends a search, as of an endpoint that went away, takes along what was `found` until then."""
    try:
        yield
    except BlNeuroError as error:
        error.partial = found()
        raise


class Stopping:
    """Whether a search of so many `stages` goes on. patience: generations without a gain, or None for all of them."""

    def __init__(self, progress: Progress, stages: int, patience: int | None) -> None:
        self._progress, self._stages, self._patience = progress, stages, patience
        self._mean: float | None = None
        self._best = -float("inf")
        self._since = 0
        self.status: Status | None = None
        """How the search ended early; None while it goes on."""

    def after(self, stage: int, attained: FloatArray | None = None) -> bool:
        """Tells of a stage that is done and what each class (K,) attained in it. Returns whether the search goes on."""
        try:
            self._progress(stage, self._stages)
        except StopAttack:
            self.status = Status.STOPPED
        if attained is not None and self._patience is not None and self.status is None and self._stalls(attained):
            self.status = Status.NO_GAIN
        return self.status is None

    def _stalls(self, attained: FloatArray) -> bool:
        now = float(attained.mean())
        self._mean = now if self._mean is None else MEMORY * self._mean + (1 - MEMORY) * now
        if self._mean > self._best + LEAST_GAIN:
            self._best, self._since = self._mean, 0
        else:
            self._since += 1
        return self._since >= (self._patience or 0)
