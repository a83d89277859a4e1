"""Attacks a copy of the network from a leaked model file, and lets the deployed target choose the best result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, WhiteBox
from bl_neuro.attacks.base import Access, Attack, Need, Preset, Progress, StopAttack, TargetView, View
from bl_neuro.attacks.brainleaks_v1 import BrainLeaksV1
from bl_neuro.attacks.course import QueryCourse
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.errors import InputError
from bl_neuro.seeding import derived_seed

MOST_CANDIDATES = 16
"""Maximum number of candidates for a budget, since each one takes as long as the attack on the twin."""


@dataclass(frozen=True)
class TransferBox:
    """A differentiable copy of the target (`twin`), and black-box access to the target itself (`deployed`).

    Raises:
        InputError: they are not such boxes, or their input shapes or numbers of classes differ.
    """

    twin: WhiteBox
    deployed: BlackBox

    def __post_init__(self) -> None:
        if not isinstance(self.twin, WhiteBox) or not isinstance(self.deployed, BlackBox):
            types = f"{type(self.twin).__name__} and {type(self.deployed).__name__}"
            raise InputError(
                f"transfer box: expected a WhiteBox of the twin and a BlackBox of the target, found {types}"
            )
        twin, deployed = ((box.input_shape, box.classes) for box in (self.twin, self.deployed))
        if twin != deployed:
            raise InputError(
                f"transfer box: expected a twin with the inputs and classes of the target, found inputs {twin[0]} and "
                f"{deployed[0]}, {twin[1]} and {deployed[1]} classes"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self.deployed.input_shape

    @property
    def classes(self) -> int:
        """Number of classes of the target."""
        return self.deployed.classes


@dataclass(frozen=True, kw_only=True)
class TransferAttack(Attack[TransferBox]):
    """Runs a white-box attack on the twin `candidates` times and keeps the best candidate of each class.

    The target's answers decide which candidate is best, with the fitness of BrainLeaksV2. Each candidate costs one
    query per class; runs on the twin cost none. If the budget is spent first, the best candidate so far is returned (at
    least the first one) with status `budget_spent`; if `progress` raises `StopAttack`, with status `stopped` after the
    current candidate. The objective in the trace is the best fitness so far.

    attack: the attack on the twin, BrainLeaksV1 by default.
    """

    name: ClassVar[str] = "transfer"
    title: ClassVar[str] = "transfer"
    access: ClassVar[Access] = "black_box"
    needs: ClassVar[tuple[Need, ...]] = ("twin",)

    attack: Attack[WhiteBox] = field(default_factory=BrainLeaksV1)
    candidates: int = 4

    @classmethod
    def for_events(cls, **changes: Any) -> TransferAttack:
        """Runs BrainLeaksV1 on the twin with its settings for event recordings."""
        return cls(**{"attack": BrainLeaksV1.for_events(), **changes})

    @classmethod
    def presets(cls) -> dict[str, Preset]:
        """See `Attack.presets`."""
        return {"for_events": Preset(cls.for_events, "event recordings such as N-MNIST", of_events=True)}

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        rules = [
            (
                isinstance(self.attack, Attack) and self.attack.box_type() is WhiteBox,
                f"attack: expected one that takes a WhiteBox, found {type(self.attack).__name__}",
            ),
            (self.candidates >= 1, f"candidates: expected a whole number of at least 1, found {self.candidates}"),
        ]
        return [message for holds, message in rules if not holds]

    @classmethod
    def box_type(cls) -> type[View]:
        """See `Attack.box_type`."""
        return TransferBox

    def open_box(self, view: TargetView) -> TransferBox:
        """See `Attack.open_box`: both the copy and the target."""
        return TransferBox(view.twin(), view.black_box())

    def planned_queries(self, classes: int) -> int:
        """See `Attack.planned_queries`."""
        return self.candidates * classes

    def within(self, budget: int, classes: int) -> TransferAttack:
        """See `Attack.within`: as many candidates as the budget allows, up to 16."""
        return replace(self, candidates=max(1, min(budget // classes, MOST_CANDIDATES)))

    def assumptions(self, box: TransferBox) -> list[str]:
        """See `Attack.assumptions`: those of the attack on the twin."""
        return self.attack.assumptions(box.twin)

    def settings(self) -> dict[str, Any]:
        """See `Attack.settings`."""
        return {"attack": {"name": self.attack.name, **self.attack.settings()}, "candidates": self.candidates}

    def _invert(self, box: TransferBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        shared = _SharedProgress(progress, self.candidates)

        def candidate(number: int) -> Inversions:
            return self.attack(
                box.twin,
                classes=classes,
                steps=steps,
                seed=derived_seed(seed, "transfer candidate", number),
                progress=shared.of(number),
            )

        first = candidate(0)
        best = _Best(box.deployed, first)
        for number in range(self.candidates):
            if not best.compare(candidate(number) if number else first):
                break
            if shared.to_stop and number + 1 < self.candidates:
                best.status = Status.STOPPED
                break
        return best.result(self.name, seed)


class _Best:
    """The best candidate of each class so far, and its fitness, (K,)."""

    def __init__(self, box: BlackBox, first: Inversions) -> None:
        self.box, self.course = box, QueryCourse(box, first.classes.tolist())
        self.classes, self.spikes, self.rates = first.classes, first.spikes, first.rates
        self.status = Status.COMPLETED
        self.fitness = torch.full((len(self.classes),), -torch.inf, dtype=torch.float64)

    def compare(self, candidate: Inversions) -> bool:
        """Queries the target with a candidate and keeps it if it is better. Returns whether the budget allowed it."""
        if not self.course.affords(len(self.classes)):
            self.status = Status.BUDGET_SPENT
            return False
        answers = evidence(self.box.query(candidate.spikes), self.box.reveals, self.box.classes)
        fitness = torch.from_numpy(answers)[torch.arange(len(self.classes)), self.classes]
        better = fitness > self.fitness
        self.fitness = torch.where(better, fitness, self.fitness)
        self.spikes = _chosen(better, candidate.spikes, self.spikes)
        if self.rates is not None and candidate.rates is not None:
            self.rates = _chosen(better, candidate.rates, self.rates, self.rates.dim() - self.spikes.dim() + 1)
        self.course.add(self.fitness, self.spikes.float().mean(0))
        return True

    def result(self, name: str, seed: int) -> Inversions:
        """The best candidates."""
        return self.course.inversions(name, seed, self.status, self.spikes, self.rates)


def _chosen(first: Tensor, one: Tensor, other: Tensor, axis: int = 1) -> Tensor:
    """`one` where `first` (K,) is true, else `other`. Axis `axis` of both has length K."""
    shape = [1] * one.dim()
    shape[axis] = len(first)
    return torch.where(first.reshape(shape), one, other)


class _SharedProgress:
    """Progress over several equal parts. After StopAttack the current part is completed and no other starts."""

    def __init__(self, progress: Progress, parts: int) -> None:
        self._progress, self._parts = progress, parts
        self.to_stop = False

    def of(self, number: int) -> Progress:
        """The progress callback of one part."""

        def report(done: int, total: int) -> None:
            try:
                self._progress(number * total + done, self._parts * total)
            except StopAttack:
                self.to_stop = True

        return report
