"""A cell: one piece of an audit's work, and everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FORMAT = 2
"""Version of definitions and results: another one makes all of them anew."""
THREADS = 1
"""Threads of every cell, whatever the machine: sums of floats depend on how threads share them out."""
TRAINED = "trained"
ANN = "ann"
"""Where attacks on ANN twins run, in place of a substrate."""


@dataclass(frozen=True)
class Cell:
    """One piece of work.

    kind: "target", "twin" (a target's ANN twin), "evaluator", "rung" (a target deployed some steps), "changed" (one
    that a mitigation changed), "accuracy", "service" (accuracy through a box), "attack", "judgement", "replay" (an
    attack once more, elsewhere), or "verification" (one target on several substrates, layer by layer).
    definition: see the module. needs: cells whose results it is made from. facts: what tables sort it by; among them
    target ("trained", "untrained", "shuffled_labels", "given"), seed, substrate, attack, reveals, restart, evaluator,
    rung, mitigation. what: the definition as an object: TargetDesign, EvaluatorPart, Mitigation or
    Attack.
    """

    kind: str
    definition: dict[str, Any]
    needs: tuple[Cell, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    what: Any = None

    @cached_property
    def address(self) -> str:
        """SHA-256 of the definition."""
        return content_address(self.definition)

    @property
    def plain(self) -> bool:
        """Whether it is of a network as it is deployed: on no rung before that, behind no mitigation."""
        return "rung" not in self.facts and "mitigation" not in self.facts

    @property
    def label(self) -> str:
        """The kind and the facts of the cell, in one line."""
        return " ".join([self.kind, *(f"{name} {value}" for name, value in self.facts.items() if value is not None)])


def canonical_json(value: Any) -> str:
    """`value` as JSON in one form only: keys sorted, no spaces, ASCII. ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_address(definition: Any) -> str:
    """SHA-256 of the canonical JSON of `definition`, in hexadecimal."""
    return hashlib.sha256(canonical_json(definition).encode()).hexdigest()
