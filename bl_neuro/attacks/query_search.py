"""Common code of searches through a black box: settings, warm start, evidence and stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Access, Progress, StopAttack
from bl_neuro.attacks.course import QueryCourse
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.image_prior import FARTHEST, AttackWithPriors, ImagePrior
from bl_neuro.attacks.input_form import InputForm, Still
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.warm_start import scribbles
from bl_neuro.errors import BlNeuroError
from bl_neuro.reveals import Reveals


@dataclass(frozen=True, kw_only=True)
class QuerySearch(AttackWithPriors[BlackBox]):
    """Base class of attacks that search for an input of each class using only the answers to queries.

    queries: per class, after the warm start. warm_start: number of probes, shared by all classes. population: queries
    per class and generation. base_rate: initial rate in the centre of the window, 0..1. warm_amplitude: standard
    deviation of the first guess around it. probe_densities: range of the densities of probes. probe_blur: in pixels; if
    above 0, probes of images are blobs. pen: in pixels; if above 0, probes are pen strokes of this radius instead.
    stroke: in pixels, the correlation length of neighbouring pixels in a query. jitter: maximum random shift of a query
    in pixels, so that the result is recognised at shifted positions too.

    patience: the search ends, with status `no_gain`, after this number of generations without improvement; None for no
    limit.

    Every query counts against the budget of the box, including the warm start. If the budget is spent first, the search
    returns its current result with status `budget_spent`; if `progress` raises `StopAttack`, with status `stopped`. If
    the box raises an error, such as an unreachable endpoint, the error contains the inversions so far
    (`error.inversions`).
    """

    access: ClassVar[Access] = "black_box"

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
        """The minimum of each integer setting."""
        return {"queries": 1, "warm_start": 0, "population": 1, "jitter": 0, "patience": 1}

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        low_counts = [
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
        return [*super().problems(), *low_counts, *(message for holds, message in rules if not holds)]

    def planned_queries(self, classes: int) -> int:
        """See `Attack.planned_queries`."""
        return self.warm_start + self.queries * classes

    def within(self, budget: int, classes: int) -> QuerySearch:
        """See `Attack.within`: the warm start uses at most half of the budget, and the classes share the rest."""
        warm_start = min(self.warm_start, budget // 2)
        return replace(self, warm_start=warm_start, queries=max(2, (budget - warm_start) // classes // 2 * 2))

    def assumptions(self, box: BlackBox) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box."""
        return self.image_assumptions(self.prior(box.input_shape))

    def image_assumptions(self, prior: ImagePrior) -> list[str]:
        """The assumptions about inputs that `prior` expresses."""
        if not prior.is_image:
            return prior.active
        pen = [
            f"what is seen is a pen's stroke (radius {self.pen:g} pixels) in the middle, over half the image or more"
        ]
        stroke = [f"lit pixels come in strokes (chance shared over {self.stroke:g} pixels)"] if self.stroke > 0 else []
        jitter = [f"an image a little off its place means the same (by {self.jitter} pixels)"] if self.jitter else []
        return [*prior.active, *(pen if self.pen > 0 else []), *stroke, *jitter]

    def probes(self, count: int, prior: ImagePrior, rng: np.random.Generator) -> FloatArray:
        """The binary inputs of the warm start, (count, *input_shape)."""
        if self.pen == 0 or prior.sides is None:
            return prior.probes(count, self.probe_densities, self.probe_blur, rng)
        return prior.in_every_channel(scribbles(count, *prior.sides, self.pen, rng))

    def shared_settings(self) -> dict[str, Any]:
        """The settings that every `QuerySearch` has, by name, to copy them to another one."""
        return {field.name: getattr(self, field.name) for field in fields(QuerySearch)}


MOST_BYTES = 2**27
"""Maximum size of the spikes of one query batch if all steps differ."""


class PatternOracle:
    """The evidence for `classes` (K) in the answers of a black box to patterns.

    form: how a pattern becomes an input; by default a frame that is held for all steps.
    """

    def __init__(self, box: BlackBox, classes: list[int], steps: int, form: InputForm | None = None) -> None:
        self.classes = np.asarray(classes)
        self.steps = steps
        self.form = form or Still()
        self.input_shape = self.form.pattern_shape(box.input_shape)
        """Shape of a pattern."""
        self._box = box

    def course(self) -> QueryCourse:
        """Starts a record of the attack."""
        return QueryCourse(self._box, self.classes.tolist())

    @property
    def remaining(self) -> int | None:
        """Number of remaining queries, or None for no limit."""
        return self._box.remaining

    @property
    def reveals(self) -> Reveals:
        """The output that the box reveals."""
        return self._box.reveals

    @property
    def outputs(self) -> int:
        """Number of classes of the target."""
        return self._box.classes

    def evidence(self, frames: FloatArray) -> FloatArray:
        """The evidence (B, C) for all classes in the answers to patterns (B, *input_shape), 0 or 1. Costs B queries."""
        sample = self.steps * int(np.prod(self._box.input_shape))
        most = len(frames) if self.form.still else max(1, MOST_BYTES // sample)
        parts = [frames[first : first + most] for first in range(0, len(frames), most)]
        answers = [self._box.query(self.form.spikes(part, self.steps)) for part in parts]
        return np.concatenate([evidence(answer, self._box.reveals, self._box.classes) for answer in answers])

    def own(self, evidences: FloatArray) -> FloatArray:
        """From evidence (n x K, C) for frames (n, K, *input_shape), the evidence for the intended classes, (n, K)."""
        count = len(self.classes)
        return np.asarray(evidences.reshape(-1, count, evidences.shape[1])[:, np.arange(count), self.classes])


LEAST_GAIN = 0.01
"""Smallest increase of the mean progress over classes that counts as an improvement."""
MEMORY = 0.7
"""Decay factor of the running mean of the progress between generations."""


@contextmanager
def keeping(result: Callable[[], Inversions]) -> Iterator[None]:
    """Adds the current `result` to an error that ends a search, such as an unreachable endpoint."""
    try:
        yield
    except BlNeuroError as error:
        error.inversions = result()
        raise


class Stopping:
    """Decides whether a search of `stages` generations continues. patience: see `QuerySearch`."""

    def __init__(self, progress: Progress, stages: int, patience: int | None) -> None:
        self._progress, self._stages, self._patience = progress, stages, patience
        self._mean: float | None = None
        self._best = -float("inf")
        self._since = 0
        self.status: Status | None = None
        """How the search ended early, or None."""

    def after(self, stage: int, attained: FloatArray | None = None) -> bool:
        """Records a finished generation and the progress of each class (K,). Returns whether the search continues."""
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
