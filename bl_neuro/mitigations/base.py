"""The base class of mitigations: a name, settings, and hooks for what it changes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from bl_neuro.errors import InputError
from bl_neuro.network import Network
from bl_neuro.reveals import REVEALS, Reveals

Hook = Literal["reveals", "inputs", "output", "network", "budget"]
ANSWER_HOOKS: tuple[Hook, ...] = ("reveals", "inputs", "output", "network")
"""Hooks that can change an answer. `budget` only limits how many answers there are."""


class Mitigation(ABC):
    """Base class of mitigations. A subclass is a frozen dataclass that overrides the hooks it needs.

        @dataclass(frozen=True)
        class LastBitOff(Mitigation):
            name = "last_bit_off"
            title = "Even counts"
            acts_on = ("counts", "label")

            @property
            def setting(self) -> str:
                return "even counts"

            def output(self, shown, reveals, rng):
                return shown - shown % 2

    Its fields are its settings, with JSON-ready values. `__post_init__` raises InputError for a setting out of range.
    Hooks draw all random numbers from the generator that they are given.
    """

    name: ClassVar[str]
    """The `kind` in `[[mitigations]]`."""
    title: ClassVar[str]
    """Name in tables."""
    acts_on: ClassVar[tuple[Reveals, ...]] = REVEALS
    """The outputs that the mitigation affects. A label is derived from the changed counts or scores."""
    phrase: ClassVar[str] = "{setting}"
    """Wording in reports, such as "answers {setting}"."""
    averages_out: ClassVar[bool] = False
    """Whether it draws new random numbers for every answer, so that an attacker can average its effect away."""

    @property
    @abstractmethod
    def setting(self) -> str:
        """The settings in words, such as "rounded to 0.1"."""

    def reveals(self, view: Reveals) -> Reveals:
        """The output that the deployment reveals instead of `view`: the same or a less informative one."""
        return view

    def inputs(self, spikes: Tensor, rng: np.random.Generator) -> Tensor:
        """The input of the network instead of `spikes` (T, B, *input_shape), 0 or 1."""
        return spikes

    def output(self, shown: Tensor, reveals: Reveals, rng: np.random.Generator) -> Tensor:
        """The answer instead of `shown`: a membrane potential or spikes (T, B, C), or scores or counts (B, C)."""
        return shown

    def network(self, network: Network) -> Network:
        """The network that is deployed instead of `network`."""
        return network

    def budget(self, planned: int | None) -> int | None:
        """The total number of queries that the deployment answers: at most `planned`. None for no limit."""
        return planned

    @classmethod
    def changes(cls, *hooks: Hook) -> bool:
        """Whether the mitigation overrides one of these hooks."""
        return any(getattr(cls, hook) is not getattr(Mitigation, hook) for hook in hooks)

    def settings(self) -> dict[str, Any]:
        """All settings by name, JSON-ready."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @property
    def definition(self) -> dict[str, Any]:
        """Everything that results depend on, JSON-ready: the name, as `kind`, and the settings."""
        settings = self.settings()
        return {"kind": self.name, **{name: settings[name] for name in sorted(settings)}}

    @property
    def label(self) -> str:
        """The name with the values of the settings, such as "rounding 0.1"."""
        return " ".join(str(value) for value in self.definition.values())

    def network_definition(self) -> dict[str, Any]:
        """What the changed network depends on, besides the original network."""
        return {"mitigation": self.definition}

    def check(self, reveals: str) -> None:
        """Raises InputError if the mitigation does not affect what a box reveals."""
        if reveals not in {*self.acts_on, *map(self.reveals, self.acts_on)}:
            raise InputError(
                f"mitigation: {type(self).__name__} acts on {', '.join(self.acts_on)}; this box reveals {reveals}"
            )


def need_number(name: str, value: Any, below: float = math.inf) -> None:
    """Raises InputError unless `value` is a number above 0 and below `below`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < below:
        expected = "a number above 0" if below == math.inf else f"a number between 0 and {below:g}"
        raise InputError(f"{name}: expected {expected}, found {value!r}")
