"""The contract suite of attacks: what every attack must do.

In a test module of yours:

    class TestMyAttack(BlackBoxAttackContract):      # WhiteBoxAttackContract for one that needs gradients,
        attack = MyAttack()                          # AnnAttackContract for one of networks that do not spike

Needs pytest. The attack runs on a small target without a framework; override `open` to run it elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
import random
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bl_neuro.access import REVEALS, BlackBox, Reveals, WhiteBox
from bl_neuro.attacks import AnnBox, Attack, Inversions, Status
from bl_neuro.attacks.base import View
from bl_neuro.backends import Target
from bl_neuro.errors import InputError
from bl_neuro.network import Network
from bl_neuro.testing.reference_target import ReferenceTarget, SpikesOnlyTarget, easy_network

STEPS = 5
CLASSES = (0, 1, 2)


class AttackContract:
    """What attacks of all kinds must do. Subclass one of those below, which know the box."""

    attack: ClassVar[Attack[Any]]

    def open(self) -> AbstractContextManager[Any]:
        """A fresh target of at least three classes, differentiable where the attack needs it."""
        return ReferenceTarget(easy_network())

    def box(self, target: Any) -> View:
        """The view of `target` that the attack takes."""
        raise NotImplementedError

    def other_box(self, target: Any) -> View:
        """A view of `target` that it does not take."""
        raise NotImplementedError

    def samples(self, target: Any) -> int:
        """How many samples `target` has run."""
        return int(target.samples)

    def weights(self, target: Any) -> str:
        """What changes where anything in `target` was changed."""
        return recomputed_fingerprint(target.network)

    def shapes(self) -> View:
        """What the boxes of a fresh target say of inputs and classes."""
        with self.open() as target:
            return self.box(target)

    def invert(self, **changes: Any) -> Inversions:
        """Runs the attack on a fresh target."""
        arguments: dict[str, Any] = {"classes": CLASSES, "steps": STEPS, "seed": 0, **changes}
        with self.open() as target:
            return self.attack(self.box(target), **arguments)

    def test_returns_what_inversions_promise(self) -> None:
        """Shapes, types, values and names of everything that comes back."""
        found = self.invert(seed=7)
        assert_well_formed(found, self.shapes())
        assert (found.attack, found.seed, found.status) == (self.attack.name, 7, Status.COMPLETED)

    def test_one_seed_gives_one_result(self) -> None:
        """The same seed repeats everything, another one does not."""
        first, again, other = self.invert(seed=3), self.invert(seed=3), self.invert(seed=4)
        assert_same(first, again)
        alike = torch.equal(first.spikes, other.spikes) and torch.equal(first.trace.rates, other.trace.rates)
        assert not alike

    def test_reports_the_samples_it_ran(self) -> None:
        """`queries` is what the target ran for this run, also where the box has served another one before."""
        with self.open() as target:
            box = self.box(target)
            for _ in range(2):
                before = self.samples(target)
                found = self.attack(box, classes=CLASSES, steps=STEPS, seed=0)
                assert found.queries == self.samples(target) - before > 0
                assert int(found.trace.queries[-1]) == found.queries
                assert found.queries_per_class == found.queries / len(CLASSES)

    def test_tells_how_far_it_is(self) -> None:
        """Progress rises to the total it names from the start, and changes nothing."""
        calls: list[tuple[int, int]] = []
        found = self.invert(progress=lambda done, total: calls.append((done, total)))
        done, totals = zip(*calls)
        assert len(set(totals)) == 1
        assert list(done) == sorted(set(done))
        assert done[-1] == totals[0]
        assert_same(found, self.invert())

    def test_inverts_the_classes_it_is_given(self) -> None:
        """In their order, a class as often as it is named, from any iterable; only some of them if so asked."""
        assert self.invert(classes=iter([2, 0, 2])).classes.tolist() == [2, 0, 2]
        assert self.invert(classes=np.array([1])).classes.tolist() == [1]

    @pytest.mark.parametrize("classes", [[], [3], [-1], [0.5], [True], ["0"], [None], [float("nan")], [[0, 1]], 2])
    def test_refuses_classes_there_are_not(self, classes: Any) -> None:
        """Before anything runs."""
        self.refused(classes=classes)

    @pytest.mark.parametrize("steps", [0, -1, 1.5, True, "5", None, 10**9])
    def test_refuses_impossible_steps(self, steps: Any) -> None:
        """Before anything runs."""
        self.refused(steps=steps)

    @pytest.mark.parametrize("seed", [-1, 0.5, True, "0", None])
    def test_refuses_impossible_seeds(self, seed: Any) -> None:
        """Before anything runs."""
        self.refused(seed=seed)

    def refused(self, **changes: Any) -> None:
        """Asserts that these arguments are refused and that nothing ran."""
        with self.open() as target:
            with pytest.raises(InputError, match=next(iter(changes))):
                self.attack(self.box(target), **{"classes": CLASSES, "steps": STEPS, "seed": 0, **changes})
            assert self.samples(target) == 0

    def test_refuses_the_other_view(self) -> None:
        """A white-box attack takes no black box, a black-box attack no white box, and neither a bare target."""
        with self.open() as target:
            for wrong in (self.other_box(target), target):
                with pytest.raises(InputError, match="expected a"):
                    self.attack(wrong, classes=CLASSES, steps=STEPS)
            assert self.samples(target) == 0

    def test_leaves_the_world_as_it_was(self) -> None:
        """The network and every global source of chance are untouched."""
        with self.open() as target:
            before = self.weights(target)
            states = global_chance()
            self.attack(self.box(target), classes=CLASSES, steps=STEPS, seed=0)
            assert self.weights(target) == before
            assert global_chance() == states

    def test_is_a_frozen_strategy(self) -> None:
        """A frozen dataclass: equal where its fields are, unchanged by a run."""
        assert dataclasses.is_dataclass(self.attack)
        fields = dataclasses.asdict(self.attack)
        assert json.loads(json.dumps(self.attack.settings())).keys() == fields.keys()
        self.invert()
        assert dataclasses.asdict(self.attack) == fields
        assert dataclasses.replace(self.attack) == self.attack
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(self.attack, dataclasses.fields(self.attack)[0].name, 0)


class WhiteBoxAttackContract(AttackContract):
    """What an attack that runs and differentiates the target must do."""

    def box(self, target: Target) -> View:
        """See `AttackContract.box`."""
        return WhiteBox(target)

    def other_box(self, target: Target) -> View:
        """See `AttackContract.other_box`."""
        return BlackBox(target)

    def test_a_class_comes_out_the_same_alone(self) -> None:
        """Inverting classes together or one by one gives the same: chance is drawn for each class apart."""
        together = self.invert(classes=[1, 2, 1], seed=3)
        for label, columns in ((1, [0, 2]), (2, [1])):
            alone = self.invert(classes=[label] * len(columns), seed=3)
            assert torch.equal(together.spikes[:, columns], alone.spikes)


class AnnAttackContract(WhiteBoxAttackContract):
    """What an attack on a network that does not spike must do."""

    def open(self) -> AbstractContextManager[Any]:
        """See `AttackContract.open`."""
        return nullcontext(EasyAnn())

    def box(self, target: Any) -> View:
        """See `AttackContract.box`."""
        return AnnBox(target)

    def other_box(self, target: Any) -> View:
        """See `AttackContract.other_box`."""
        return WhiteBox(ReferenceTarget(easy_network()))

    def samples(self, target: Any) -> int:
        """See `AttackContract.samples`."""
        return int(target.shown)

    def weights(self, target: Any) -> str:
        """See `AttackContract.weights`."""
        return str([values.tolist() for values in target.state_dict().values()])


class BlackBoxAttackContract(AttackContract):
    """What an attack that only queries the target must do. It must need more than 50 queries for three classes."""

    reveals: ClassVar[tuple[str, ...]] = REVEALS
    """What the attack can work with."""

    def open(self) -> AbstractContextManager[Any]:
        """See `AttackContract.open`."""
        return SpikesOnlyTarget(easy_network())

    def box(self, target: Target, reveals: Reveals = "counts", budget: int | None = None) -> View:
        """See `AttackContract.box`."""
        return BlackBox(target, reveals=reveals, budget=budget)

    def meter(self, box: Any) -> BlackBox:
        """The black box that counts the attack's queries."""
        if not isinstance(box, BlackBox):
            raise NotImplementedError
        return box

    def other_box(self, target: Target) -> View:
        """See `AttackContract.other_box`."""
        return WhiteBox(ReferenceTarget(target.network))

    def invert_within(self, budget: int, spent: int = 0) -> tuple[Inversions, BlackBox]:
        """Runs the attack with `budget` queries, `spent` of which are gone when it begins."""
        with self.open() as target:
            box = self.box(target, budget=budget)
            if spent:
                self.meter(box).query(np.zeros((1, spent, *box.input_shape)))
            return self.attack(box, classes=CLASSES, steps=STEPS, seed=0), self.meter(box)

    @pytest.mark.parametrize("budget", [1, 2, 10, 50])
    def test_small_budget_gives_the_best_so_far(self, budget: int) -> None:
        """Too few queries: what they were good for, within the budget, and a status that says so."""
        found, box = self.invert_within(budget)
        assert_well_formed(found, self.shapes())
        assert found.status is Status.BUDGET_SPENT
        assert found.queries == box.spent <= budget

    def test_spent_budget_gives_a_guess(self) -> None:
        """With nothing left to ask, an inversion all the same, and no query."""
        found, box = self.invert_within(5, spent=5)
        assert_well_formed(found, self.shapes())
        assert found.status is Status.BUDGET_SPENT
        assert found.queries == 0
        assert box.spent == 5

    def test_what_it_needs_is_enough(self) -> None:
        """A budget of exactly what an unmetered run took changes nothing; one query less cuts it short."""
        free = self.invert()
        exact, _ = self.invert_within(free.queries)
        short, _ = self.invert_within(free.queries - 1)
        assert_same(free, exact)
        assert short.status is Status.BUDGET_SPENT

    def test_works_with_whatever_is_revealed(self) -> None:
        """Each of `reveals` is enough to run to the end."""
        for reveals in self.reveals:
            with self.open() as target, ReferenceTarget(target.network) as open_target:
                box = self.box(open_target, reveals=reveals)  # type: ignore[arg-type]  # one of REVEALS
                found = self.attack(box, classes=CLASSES, steps=STEPS, seed=0)
            assert_well_formed(found, box)
            assert found.status is Status.COMPLETED


def assert_well_formed(found: Inversions, shapes: View) -> None:
    """Asserts everything that `Inversions` and `Trace` say of shapes, types and ranges; `shapes` are the target's."""
    count, shape = len(found.classes), shapes.input_shape
    assert found.spikes.dtype == torch.uint8
    assert found.spikes.shape[1:] == (count, *shape)
    assert int(found.spikes.max()) <= 1
    assert not found.classes.is_floating_point()
    assert 0 <= int(found.classes.min()) <= int(found.classes.max()) < shapes.classes
    assert isinstance(found.queries, int)
    if found.rates is not None:
        steps = found.spikes.shape[:1] if found.rates.dim() == found.spikes.dim() else ()
        assert_fractions(found.rates, (*steps, count, *shape))
    generations = len(found.trace.queries)
    assert bool((found.trace.queries.diff() > 0).all())
    assert generations == 0 or int(found.trace.queries[0]) > 0
    assert found.trace.objective.shape == (generations, count)
    assert bool(found.trace.objective.isfinite().all())
    assert_fractions(found.trace.rates, (generations, count, *shape))
    assert_fractions(found.images, (count, *shape))


def assert_fractions(values: Tensor, shape: tuple[int, ...]) -> None:
    """Asserts that `values` have this shape and lie in 0..1."""
    assert tuple(values.shape) == shape
    assert bool(((values >= 0) & (values <= 1)).all())


def assert_same(one: Inversions, other: Inversions) -> None:
    """Asserts that two runs gave the same in every detail."""
    for first, second in zip(_tensors(one), _tensors(other)):
        assert torch.equal(first, second)
    assert (one.queries, one.status, one.attack, one.seed) == (other.queries, other.status, other.attack, other.seed)


def _tensors(found: Inversions) -> list[Tensor]:
    trace = found.trace
    rates = [] if found.rates is None else [found.rates]
    return [found.spikes, found.classes, *rates, trace.queries, trace.objective, trace.rates]


def recomputed_fingerprint(network: Network) -> str:
    """The fingerprint of what the network holds now; its own is remembered from the first time."""
    return Network(network.input_shape, network.layers, network.readout).fingerprint


def global_chance() -> tuple[Any, ...]:
    """The states of Python's, NumPy's and torch's global generators."""
    legacy = repr(np.random.get_state())  # noqa: NPY002 - looked at, not drawn from
    return random.getstate(), legacy, bytes(torch.get_rng_state().numpy())


class EasyAnn(nn.Module):
    """Tells three classes apart by which four of its twelve inputs are lit, the first of each four most of all.

    `shown` counts the images it has seen.
    """

    classes = 3

    def __init__(self, gain: float = 4.0, input_shape: tuple[int, ...] = (12,)) -> None:
        super().__init__()
        self.input_shape, self.shown = input_shape, 0
        own = torch.kron(torch.eye(3), torch.tensor([[1.0, 0.8, 0.6, 0.4]]))
        self.weight = nn.Parameter(gain * (own - own.mean(0)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 3) of images (B, *input_shape)."""
        self.shown += len(images)
        return images.flatten(1) @ self.weight.T
