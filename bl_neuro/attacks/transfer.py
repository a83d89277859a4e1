"""A leaked model file and the chip it runs on: invert the attacker's own copy, let the chip say which result holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, WhiteBox
from bl_neuro.attacks.base import Attack, Progress, View
from bl_neuro.attacks.brainleaks_v1 import BrainLeaksV1
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.inversions import Inversions, Status, Trace
from bl_neuro.attacks.query_search import StopAttack
from bl_neuro.attacks.settings import settle_types
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed


@dataclass(frozen=True)
class TransferBox:
    """What this attacker has: `twin`, a differentiable copy of the target, and `deployed`, the target, to be queried.

    Raises:
        InputError: they are no such boxes, or differ in the shape of their inputs or in their classes.
    """

    twin: WhiteBox
    deployed: BlackBox

    def __post_init__(self) -> None:
        if not isinstance(self.twin, WhiteBox) or not isinstance(self.deployed, BlackBox):
            found = f"{type(self.twin).__name__} and {type(self.deployed).__name__}"
            raise InputError(
                f"transfer box: expected a WhiteBox of the twin and a BlackBox of the target, found {found}"
            )
        twin, deployed = ((box.input_shape, box.classes) for box in (self.twin, self.deployed))
        if twin != deployed:
            raise InputError(
                f"transfer box: expected a twin that takes what the target takes, found inputs {twin[0]} and "
                f"{deployed[0]}, {twin[1]} and {deployed[1]} classes"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self.deployed.input_shape

    @property
    def classes(self) -> int:
        """How many classes the target tells apart."""
        return self.deployed.classes


@dataclass(frozen=True, kw_only=True)
class TransferAttack(Attack[TransferBox]):
    """Runs a white-box attack on the twin `candidates` times, and keeps for each class what the target answers best.

    Each candidate costs one query a class; what runs on the twin costs none. Fitness is that of BrainLeaksV2. Where the
    budget ends first, the best so far is returned, at least the first candidate, with status `budget_spent`; so it is
    after the candidate in which `progress` raises `StopAttack`, with status `stopped`. The trace's objective is the
    fitness of the best so far.

    attack: what runs on the twin, BrainLeaksV1 by default.
    """

    name: ClassVar[str] = "transfer"
    access: ClassVar[str] = "transfer"

    attack: Attack[WhiteBox] = field(default_factory=BrainLeaksV1)
    candidates: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.attack, Attack) or self.attack.box_type() is not WhiteBox:
            raise InputError(f"attack: expected one that takes a WhiteBox, found {type(self.attack).__name__}")
        wrong = settle_types(self)
        if not wrong and self.candidates < 1:
            wrong = [f"candidates: expected a whole number of at least 1, found {self.candidates}"]
        if wrong:
            raise InputError("; ".join(wrong))

    @classmethod
    def box_type(cls) -> type[View]:
        """See `Attack.box_type`."""
        return TransferBox

    def assumptions(self, box: TransferBox) -> list[str]:
        """See `Attack.assumptions`: those of the attack on the twin."""
        return self.attack.assumptions(box.twin)

    def settings(self) -> dict[str, Any]:
        """See `Attack.settings`."""
        return {"attack": {"name": self.attack.name, **self.attack.settings()}, "candidates": self.candidates}

    def _invert(self, box: TransferBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        told = _Told(progress, self.candidates)

        def candidate(number: int) -> Inversions:
            return self.attack(
                box.twin,
                classes=classes,
                steps=steps,
                seed=derived_seed(seed, "transfer candidate", number),
                progress=told.of(number),
            )

        first = candidate(0)
        best = _Best(box.deployed, first)
        for number in range(self.candidates):
            if not best.compare(candidate(number) if number else first):
                break
            if told.to_stop and number + 1 < self.candidates:
                best.status = Status.STOPPED
                break
        return best.result(self.name, seed)


class _Best:
    """The best candidate of each class so far, and what the target's answers to it were worth, (K,)."""

    def __init__(self, box: BlackBox, first: Inversions) -> None:
        self.box, self.before = box, box.spent
        self.classes, self.spikes, self.rates = first.classes, first.spikes, first.rates
        self.status = Status.COMPLETED
        self.trace: list[tuple[int, Tensor, Tensor]] = []
        self.fitness = torch.full((len(self.classes),), -torch.inf, dtype=torch.float64)

    def compare(self, candidate: Inversions) -> bool:
        """Asks the target about a candidate and keeps what is better. Returns whether the budget allowed it."""
        if self.box.remaining is not None and self.box.remaining < len(self.classes):
            self.status = Status.BUDGET_SPENT
            return False
        answers = evidence(self.box.query(candidate.spikes), self.box.reveals, self.box.classes)
        found = torch.from_numpy(answers)[torch.arange(len(self.classes)), self.classes]
        better = found > self.fitness
        self.fitness = torch.where(better, found, self.fitness)
        self.spikes = _chosen(better, candidate.spikes, self.spikes)
        if self.rates is not None and candidate.rates is not None:
            self.rates = _chosen(better, candidate.rates, self.rates, self.rates.dim() - self.spikes.dim() + 1)
        self.trace.append((self.box.spent - self.before, self.fitness.float(), self.spikes.float().mean(0)))
        return True

    def result(self, name: str, seed: int) -> Inversions:
        """What was kept."""
        shape = (0, len(self.classes), *self.spikes.shape[2:])
        queries, objectives, rates = zip(*self.trace) if self.trace else ((), (), ())
        trace = Trace(
            torch.as_tensor(queries, dtype=torch.int64),
            torch.stack(objectives) if objectives else torch.zeros(shape[:2]),
            torch.stack(rates) if rates else torch.zeros(shape),
        )
        spent = self.box.spent - self.before
        return Inversions(self.spikes, self.classes, self.rates, spent, trace, self.status, name, seed)


def _chosen(first: Tensor, one: Tensor, other: Tensor, axis: int = 1) -> Tensor:
    """`one` where `first` (K,) says so, else `other`; K is their axis `axis`."""
    shape = [1] * one.dim()
    shape[axis] = len(first)
    return torch.where(first.reshape(shape), one, other)


class _Told:
    """Progress over several equal parts, which may be told to stop: the part goes on, and no other begins."""

    def __init__(self, progress: Progress, parts: int) -> None:
        self._progress, self._parts = progress, parts
        self.to_stop = False

    def of(self, number: int) -> Progress:
        """The progress of one part."""

        def told(done: int, total: int) -> None:
            try:
                self._progress(number * total + done, self._parts * total)
            except StopAttack:
                self.to_stop = True

        return told
