"""A black-box attack that shares nothing with bl-neuro's own searches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from bl_neuro.access import BlackBox
from bl_neuro.attacks import Attack, Inversions, Status, Trace
from bl_neuro.attacks.base import Access, Progress, StopAttack
from bl_neuro.seeding import derived_seed


@dataclass(frozen=True, kw_only=True)
class ToyDraws(Attack[BlackBox]):
    """Asks about `draws` random frames, held for all steps, and returns for each class the one it answered to best."""

    name: ClassVar[str] = "toy_draws"
    title: ClassVar[str] = "toy draws"
    access: ClassVar[Access] = "black_box"
    reveals: ClassVar[tuple[str, ...]] = ("counts", "label", "scores")

    draws: int = 128

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        return [] if self.draws >= 1 else [f"draws: expected at least 1, found {self.draws}"]

    def planned_queries(self, classes: int) -> int:
        """See `Attack.planned_queries`: the draws are shared by all classes."""
        return self.draws

    def within(self, budget: int, classes: int) -> ToyDraws:
        """See `Attack.within`."""
        return replace(self, draws=min(self.draws, budget))

    def _invert(self, box: BlackBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        rng, before = np.random.default_rng(derived_seed(seed, "toy_draws")), box.spent
        best = torch.full((len(classes),), -torch.inf)
        rates = torch.zeros(len(classes), *box.input_shape)
        trace: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        status = Status.COMPLETED
        try:
            for drawn in range(self.draws):
                if box.remaining == 0:
                    status = Status.BUDGET_SPENT
                    break
                frame = torch.from_numpy((rng.random(box.input_shape) < 0.5).astype(np.uint8))
                support = self._support(box, frame.expand(steps, 1, *box.input_shape).contiguous())
                better = support[classes] > best
                best = torch.where(better, support[classes], best)
                rates[better] = frame.float()
                trace.append((box.spent - before, best.clone(), rates.clone()))
                progress(drawn + 1, self.draws)
        except StopAttack:
            status = Status.STOPPED
        spikes = rates.to(torch.uint8).expand(steps, *rates.shape).contiguous()
        queries, objectives, courses = zip(*trace) if trace else ((), (), ())
        course = Trace(
            torch.tensor(queries, dtype=torch.int64),
            torch.stack(objectives) if trace else torch.zeros(0, len(classes)),
            torch.stack(courses) if trace else torch.zeros(0, *rates.shape),
        )
        labels = torch.as_tensor(classes)
        return Inversions(spikes, labels, rates, box.spent - before, course, status, self.name, seed)

    @staticmethod
    def _support(box: BlackBox, spikes: torch.Tensor) -> torch.Tensor:
        """How strongly the target answers with each class, (C,)."""
        answer = box.query(spikes)
        if box.reveals == "label":
            return torch.nn.functional.one_hot(answer, box.classes)[0].float()
        totals = answer.sum(0) if box.reveals in ("spikes", "membrane") else answer
        return totals[0].float()
