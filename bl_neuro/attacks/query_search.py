"""What searches through a black box share: how often they ask, how they begin, what they take for granted."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.scribbles import scribbles
from bl_neuro.attacks.with_priors import FARTHEST, AttackWithPriors


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
    error of the box, as of an endpoint that went away, comes out with what was found until then (`error.found`).
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
