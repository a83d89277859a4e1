"""`[[mitigations]]` of an experiment: what a deployment does against inversion, measured for what it costs and removes.

    kind = "reveal"          to = "label"     shows less
    kind = "rounding"        step = 0.1       scores or a membrane in whole multiples
    kind = "noise"           sd = 0.1         on scores or a membrane; on counts, then rounded
    kind = "query_cap"       queries = 1280   for all inversions of one attack together
    kind = "input_dropout"   rate = 0.2       of the spikes that come in
    kind = "weight_bits"     bits = 4         of every weight

Each is run on one substrate, on the same targets, from the same seeds as the attacks without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from bl_neuro.access import Reveals
from bl_neuro.experiment.part import Count, Names, Part, Restarts, Seeds
from bl_neuro.mitigations import InputDropout, Mitigation, OutputNoise, Rounding

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AnyMitigation(Part, ABC):
    """What all kinds have.

    attacks: labels of black-box attacks, all by default. reveals: what their boxes show, by default all of an attack's
    that the mitigation acts on. seeds, restarts: of the experiment's, all by default. substrate: where it is run.
    """

    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    substrate: str = "loihi"

    @property
    @abstractmethod
    def setting(self) -> str:
        """What it does, in words."""

    @property
    def in_box(self) -> Mitigation | None:
        """What the box does to inputs or outputs, where it is that."""
        return None

    def acts_on(self, reveals: str) -> bool:
        """Whether it does anything where a box reveals that."""
        return self.in_box is None or reveals in self.in_box.acts_on

    @property
    def definition(self) -> dict[str, Any]:
        """What a result depends on, JSON-ready."""
        own = set(type(self).model_fields) - set(AnyMitigation.model_fields)
        return {name: getattr(self, name) for name in sorted(own, key=lambda name: (name != "kind", name))}

    @property
    def called(self) -> str:
        """What tables call it."""
        return " ".join(str(value) for value in self.definition.values())


class Reveal(AnyMitigation):
    """Shows `to` in place of what it is compared with."""

    kind: Literal["reveal"]
    to: Reveals

    @property
    def setting(self) -> str:
        """See `AnyMitigation`."""
        return f"shows {self.to} alone"


class RoundingPart(AnyMitigation):
    """See `mitigations.Rounding`."""

    kind: Literal["rounding"]
    step: Positive

    @property
    def setting(self) -> str:
        """See `AnyMitigation`."""
        return f"rounded to {self.step:g}"

    @property
    def in_box(self) -> Mitigation | None:
        """See `AnyMitigation`."""
        return Rounding(self.step)


class Noise(AnyMitigation):
    """See `mitigations.OutputNoise`."""

    kind: Literal["noise"]
    sd: Positive

    @property
    def setting(self) -> str:
        """See `AnyMitigation`."""
        return f"noise of sd {self.sd:g}"

    @property
    def in_box(self) -> Mitigation | None:
        """See `AnyMitigation`."""
        return OutputNoise(self.sd)


class QueryCap(AnyMitigation):
    """The box answers `queries` in all; a search that knows it shares them out, see `Attack.within`."""

    kind: Literal["query_cap"]
    queries: Count

    @property
    def setting(self) -> str:
        """See `AnyMitigation`."""
        return f"{self.queries} queries"


class Dropout(AnyMitigation):
    """See `mitigations.InputDropout`."""

    kind: Literal["input_dropout"]
    rate: Annotated[float, Field(gt=0, lt=1)]

    @property
    def setting(self) -> str:
        """See `AnyMitigation`."""
        return f"{100 * self.rate:g} % of input spikes left out"

    @property
    def in_box(self) -> Mitigation | None:
        """See `AnyMitigation`."""
        return InputDropout(self.rate)


class WeightBits(AnyMitigation):
    """See `deploy.weight_bits`."""

    kind: Literal["weight_bits"]
    bits: Annotated[int, Field(ge=2, le=8)]

    @property
    def setting(self) -> str:
        """See `AnyMitigation`."""
        return f"weights of {self.bits} bits"


MitigationPart = Annotated[Reveal | RoundingPart | Noise | QueryCap | Dropout | WeightBits, Field(discriminator="kind")]


def in_box(definition: dict[str, Any] | None) -> Mitigation | None:
    """What a box does to inputs or outputs, from the definition of a mitigation in a cell."""
    if definition is None:
        return None
    part: AnyMitigation = TypeAdapter(MitigationPart).validate_python(definition)
    return part.in_box
