"""The transfer attack: its work on the twin, its queries to the target, and the candidate it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor

from bl_neuro import BlackBox, CubaLIF, Dense, InputError, Network, WhiteBox
from bl_neuro.access import Reveals
from bl_neuro.attacks import (
    Attack,
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    Inversions,
    Status,
    StopAttack,
    Trace,
    TransferAttack,
    TransferBox,
)
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyTarget, easy_network


@dataclass(frozen=True)
class Scripted(Attack[WhiteBox]):
    """Lights, in its n-th run, the first n inputs of each class; with rates or without."""

    name: ClassVar[str] = "scripted"
    access: ClassVar[Literal["white_box"]] = "white_box"

    rates: str = "none"
    script: tuple[int, ...] = (1, 4, 2, 0)

    def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Any) -> Inversions:
        lit = self.script[box.queries]
        box.run(torch.zeros(steps, 1, *box.input_shape))
        progress(1, 2)
        progress(2, 2)
        spikes = torch.zeros(steps, len(classes), 12, dtype=torch.uint8)
        for column, label in enumerate(classes):
            spikes[:, column, 4 * label : 4 * label + lit] = 1
        rates = {"none": None, "held": spikes.float().mean(0), "stepped": spikes.float()}[self.rates]
        trace = Trace(torch.zeros(0), torch.zeros(0, len(classes)), torch.zeros(0, len(classes), 12))
        return Inversions(spikes, torch.as_tensor(classes), rates, 1, trace, Status.COMPLETED, self.name, seed)


def boxes(reveals: Reveals = "counts", budget: int | None = None) -> TransferBox:
    network = easy_network()
    return TransferBox(
        WhiteBox(ReferenceTarget(network)), BlackBox(SpikesOnlyTarget(network), reveals=reveals, budget=budget)
    )


def lit(inversions: Inversions) -> list[int]:
    return inversions.spikes[0].sum(1).tolist()


@pytest.mark.parametrize("rates", ["none", "held", "stepped"])
def test_keeps_the_candidate_with_the_best_target_answer(rates: str) -> None:
    inversions = TransferAttack(attack=Scripted(rates), candidates=4)(boxes(), classes=[2, 0], steps=5)
    assert lit(inversions) == [4, 4]
    assert inversions.queries == 8
    assert inversions.trace.queries.tolist() == [2, 4, 6, 8]
    assert inversions.trace.rates.sum(2)[:, 0].tolist() == [1, 4, 4, 4]
    assert bool((inversions.trace.objective.diff(dim=0) >= 0).all())
    assert (inversions.rates is None) == (rates == "none")
    if inversions.rates is not None:
        assert torch.equal(inversions.rates, inversions.spikes.float() if rates == "stepped" else inversions.images)


def test_each_class_has_a_candidate_of_its_own() -> None:
    @dataclass(frozen=True)
    class Crossed(Scripted):
        def _invert(self, box: WhiteBox, classes: list[int], steps: int, seed: int, progress: Any) -> Inversions:
            first = box.queries == 0
            inversions = super()._invert(box, classes, steps, seed, progress)
            inversions.spikes[:, 1 if first else 0] = 0
            return inversions

    inversions = TransferAttack(attack=Crossed(script=(4, 4)), candidates=2)(boxes(), classes=[2, 0], steps=5)
    assert lit(inversions) == [4, 4]


def test_the_first_among_equals_is_kept() -> None:
    inversions = TransferAttack(attack=Scripted(script=(3, 4)), candidates=2)(boxes("label"), classes=[1], steps=5)
    assert lit(inversions) == [3]


@pytest.mark.parametrize(("budget", "asked"), [(1, 0), (3, 2), (4, 4)])
def test_stops_with_the_budget(budget: int, asked: int) -> None:
    inversions = TransferAttack(attack=Scripted(), candidates=3)(boxes(budget=budget), classes=[0, 1], steps=5)
    assert inversions.status is Status.BUDGET_SPENT
    assert inversions.queries == asked
    assert lit(inversions) == [[1, 1], [1, 1], [4, 4]][asked // 2]


@pytest.mark.parametrize("candidate", [0, 1])
def test_a_stopped_attack_keeps_the_candidates_so_far(candidate: int) -> None:
    def stop(done: int, total: int) -> None:
        if done > candidate * total // 3:
            raise StopAttack

    plan = TransferAttack(attack=BrainLeaksV1(iterations=2), candidates=3)
    inversions = plan(boxes(), classes=[0, 1], steps=5, progress=stop)
    whole = plan(boxes(), classes=[0, 1], steps=5)
    assert inversions.status is Status.STOPPED
    assert inversions.queries == 2 * (candidate + 1)
    assert torch.equal(inversions.trace.objective, whole.trace.objective[: candidate + 1])


def test_candidates_differ() -> None:
    asked: list[Tensor] = []

    class Recorded(BlackBox):
        __slots__ = ()

        def query(self, spikes: Any) -> Tensor:
            asked.append(spikes)
            return super().query(spikes)

    network = easy_network()
    box = TransferBox(WhiteBox(ReferenceTarget(network)), Recorded(ReferenceTarget(network)))
    TransferAttack(attack=BrainLeaksV1(iterations=1), candidates=2)(box, classes=[0, 1], steps=5)
    assert len(asked) == 2
    assert not torch.equal(*asked)


def test_states_its_attack_and_assumptions() -> None:
    plan = TransferAttack(attack=BrainLeaksV1.for_events())
    assert plan.settings() == {"attack": {"name": "v1", **BrainLeaksV1.for_events().settings()}, "candidates": 4}
    assert plan.assumptions(boxes()) == ["neighbouring steps agree (blur of 2 steps)"]


def test_works_along_any_white_box_attack() -> None:
    inversions = TransferAttack(attack=BrainLeaksV2Gradient(iterations=3), candidates=2)(
        boxes(), classes=[1, 0], steps=6
    )
    assert inversions.rates is not None
    assert inversions.rates.shape == (6, 2, 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attack": BrainLeaksV2()}, "expected one that takes a WhiteBox, found BrainLeaksV2"),
        ({"attack": "v1"}, "expected one that takes a WhiteBox, found str"),
        ({"candidates": 0}, "candidates: expected a whole number of at least 1"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TransferAttack(**changes)


def test_the_twin_must_take_what_the_target_takes() -> None:
    narrow = Network((3,), [Dense(torch.ones(3, 3), CubaLIF())])
    with pytest.raises(InputError, match=r"expected a twin with the inputs .* found inputs \(3,\) and \(12,\)"):
        TransferBox(WhiteBox(ReferenceTarget(narrow)), BlackBox(ReferenceTarget(easy_network())))
    with pytest.raises(InputError, match="expected a WhiteBox of the twin and a BlackBox"):
        TransferBox(BlackBox(ReferenceTarget(narrow)), WhiteBox(ReferenceTarget(narrow)))  # type: ignore[arg-type]
