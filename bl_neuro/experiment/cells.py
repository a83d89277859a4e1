"""A cell: one unit of work of an audit, with everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FORMAT = 2
"""Version of definitions and results; another version makes all stored results invalid."""
THREADS = 1
"""Number of threads of every cell on any machine, since sums of floats depend on it."""
TRAINED = "trained"


@dataclass(frozen=True)
class Cell:
    """One unit of work.

    kind: "target", "twin" (ANN twin of a target), "evaluator", "rung" (a partially deployed target), "changed" (a
    network changed by a mitigation), "accuracy", "service" (accuracy through a black box), "attack", "judgement",
    "replay" (an attack repeated on another substrate), "verification" (one target on several substrates, layer by
    layer), "baseline" (pictures of an attacker who asks nothing), "baseline_judgement", "shuffled_weights" (a given
    network without information), "member" (a network trained on a half of a pool), "answers" (what it answers about the
    pool), "member_replay" (some of these queries on two substrates), or "membership" (the attacks on these answers);
    kinds that start with "secret_" are about planted secrets.
    `measures.KINDS` has the measures of each. definition: everything that the result depends on. needs: cells whose
    results it uses. facts: columns of tables, such as target ("trained", "untrained", "shuffled_labels", "given"),
    seed, substrate, attack, reveals, restart, evaluator, rung and mitigation. what: the definition as an object:
    TargetDesign, EvaluatorPart, Mitigation or Attack.
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
        """Whether the cell belongs to the fully deployed network, without mitigation."""
        return "rung" not in self.facts and "mitigation" not in self.facts

    @property
    def label(self) -> str:
        """A one-line description."""
        return " ".join([self.kind, *(f"{name} {value}" for name, value in self.facts.items() if value is not None)])


def canonical_json(value: Any) -> str:
    """`value` as canonical JSON: sorted keys, no spaces, ASCII. Raises ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_address(definition: Any) -> str:
    """SHA-256 of the canonical JSON of `definition`, in hexadecimal."""
    return hashlib.sha256(canonical_json(definition).encode()).hexdigest()
