"""The contract suite of attacks: what every attack must do.

In a test module of yours:

    class TestMyAttack(BlackBoxAttackContract):      # WhiteBoxAttackContract for one that needs gradients,
        attack = MyAttack()                          # AnnAttackContract for one of networks that do not spike

The suite reads the facts that the attack declares: its access, the answers it can use, its presets and the queries it
plans. Needs pytest. The attack runs on a small target without a framework; override `open` to run it elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from bl_neuro.access import REVEALS, BlackBox, Reveals, WhiteBox
from bl_neuro.attacks import AnnBox, Attack, Inversions, Preset, Status, StopAttack
from bl_neuro.attacks.base import View
from bl_neuro.backends import Target
from bl_neuro.errors import InputError
from bl_neuro.layers import Dense
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.testing.attack_assertions import (
    assert_same,
    assert_well_formed,
    global_chance,
    recomputed_fingerprint,
)
from bl_neuro.testing.reference_target import EasyAnn, ReferenceTarget, SpikesOnlyTarget, easy_network

STEPS = 5
CLASSES = (0, 1, 2)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names that an experiment file can state."""
DECLARED = ("name", "title", "access", "needs", "reveals", "modules", "extra")
"""What an attack's class declares beside its settings."""


class ContractView:
    """A target of the suite as an attack opens its box from it, see `TargetView`. `box`: the black box, once opened."""

    def __init__(self, target: Any, reveals: Reveals, budget: int | None) -> None:
        self._target, self._reveals, self._budget = target, reveals, budget
        self.box: BlackBox | None = None

    def white_box(self) -> WhiteBox:
        """See `TargetView.white_box`."""
        return WhiteBox(self._target)

    def black_box(self) -> BlackBox:
        """See `TargetView.black_box`."""
        self.box = BlackBox(self._target, self._reveals, self._budget)
        return self.box

    def twin(self) -> WhiteBox:
        """See `TargetView.twin`."""
        return WhiteBox(ReferenceTarget(self._target.network))

    def ann_box(self) -> AnnBox:
        """See `TargetView.ann_box`."""
        return AnnBox(self._target)


class AttackContract:
    """What attacks of all kinds must do. Subclass one of those below, which know the box."""

    attack: ClassVar[Attack[Any]]

    def open(self) -> AbstractContextManager[Any]:
        """A fresh target of at least three classes, differentiable where the attack needs it."""
        return ReferenceTarget(easy_network())

    def view(self, target: Any, reveals: Reveals | None = None, budget: int | None = None) -> ContractView:
        """`target` as the attack opens its box from it."""
        usable: Any = "counts" if "counts" in self.attack.reveals else self.attack.reveals[0]
        return ContractView(target, reveals or usable, budget)

    def box(self, target: Any) -> View:
        """The box of `target` that the attack takes."""
        box: View = self.attack.open_box(self.view(target))
        return box

    def other_box(self, target: Any) -> View:
        """A box of `target` that it does not take."""
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

    def test_declares_its_access_and_settings(self) -> None:
        """Its name, access and usable answers are what files and tables can state; its settings have defaults."""
        kind = type(self.attack)
        name, access, reveals = (getattr(kind, fact, None) for fact in ("name", "access", "reveals"))
        assert dataclasses.is_dataclass(kind), f"{kind.__name__}: expected a frozen dataclass"
        annotated = [field.name for field in dataclasses.fields(kind) if field.name in DECLARED]
        assert not annotated, f"{', '.join(annotated)}: a setting, since it is annotated; leave the annotation out"
        assert isinstance(name, str), f"name: expected a string, found {name!r}"
        assert NAME.fullmatch(name), f"name: expected letters, digits, '_', '.' and '-', found {name!r}"
        known = ("white_box", "black_box", "ann")
        assert access in known, f"access: expected one of {', '.join(known)}, found {access!r}"
        usable = isinstance(reveals, tuple) and reveals and set(reveals) <= set(REVEALS)
        assert usable, f"reveals: expected a tuple of one or more of {', '.join(REVEALS)}, found {reveals!r}"
        assert isinstance(kind(), kind)

    def test_returns_valid_inversions(self) -> None:
        """Shapes, types, values and names of everything that comes back."""
        inversions = self.invert(seed=7)
        assert_well_formed(inversions, self.shapes())
        assert (inversions.attack, inversions.seed, inversions.status) == (self.attack.name, 7, Status.COMPLETED)

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
                inversions = self.attack(box, classes=CLASSES, steps=STEPS, seed=0)
                assert inversions.queries == self.samples(target) - before > 0
                assert int(inversions.trace.queries[-1]) == inversions.queries
                assert inversions.queries_per_class == inversions.queries / len(CLASSES)

    def test_reports_progress(self) -> None:
        """Progress rises to the total it names from the start, and changes nothing."""
        calls: list[tuple[int, int]] = []
        inversions = self.invert(progress=lambda done, total: calls.append((done, total)))
        done, totals = zip(*calls)
        assert len(set(totals)) == 1
        assert list(done) == sorted(set(done))
        assert done[-1] == totals[0]
        assert_same(inversions, self.invert())

    def test_inverts_the_classes_it_is_given(self) -> None:
        """In their order, a class as often as it is named, from any iterable; only some of them if so asked."""
        assert self.invert(classes=iter([2, 0, 2])).classes.tolist() == [2, 0, 2]
        assert self.invert(classes=np.array([1])).classes.tolist() == [1]

    @pytest.mark.parametrize("classes", [[], [3], [-1], [0.5], [True], ["0"], [None], [float("nan")], [[0, 1]], 2])
    def test_refuses_unknown_classes(self, classes: Any) -> None:
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

    def test_refuses_a_box_of_another_access(self) -> None:
        """A white-box attack takes no black box, a black-box attack no white box, and neither a bare target."""
        with self.open() as target:
            for wrong in (self.other_box(target), target):
                with pytest.raises(InputError, match="expected a"):
                    self.attack(wrong, classes=CLASSES, steps=STEPS)
            assert self.samples(target) == 0

    def test_leaves_global_state_unchanged(self) -> None:
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

    def test_its_presets_are_attacks_of_its_kind(self) -> None:
        """Each preset makes the attack without arguments, and takes the attack's settings as keyword arguments."""
        for name, preset in self.attack.presets().items():
            assert NAME.fullmatch(name), f"presets: expected letters, digits, '_', '.' and '-', found {name!r}"
            assert isinstance(preset, Preset), f"presets: {name}: expected Preset(make, purpose), found {preset!r}"
            assert preset.purpose, f"presets: {name}: expected a purpose, in words"
            made: Any = preset.make()
            settings = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
            assert preset.make(**settings) == made
            assert type(made) is type(self.attack)

    def test_every_setting_refuses_another_type(self) -> None:
        """A setting of a wrong type is an InputError that names the setting."""
        attack: Any = self.attack
        for field in dataclasses.fields(attack):
            with pytest.raises(InputError, match=field.name):
                dataclasses.replace(attack, **{field.name: object()})

    def test_refuses_a_target_of_one_class(self) -> None:
        """There is nothing that sets its class apart from others."""
        if self.attack.access == "ann":
            return
        one = Network((12,), [Dense(np.ones((1, 12)), CubaLIF())])
        with ReferenceTarget(one) as target, pytest.raises(InputError, match="at least two classes"):
            self.attack(self.box(target), classes=[0], steps=STEPS)


class WhiteBoxAttackContract(AttackContract):
    """What an attack that runs and differentiates the target must do."""

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
    """What an attack that queries the target must do, perhaps with a copy of it at hand. It must ask at least two."""

    def open(self) -> AbstractContextManager[Any]:
        """See `AttackContract.open`."""
        return SpikesOnlyTarget(easy_network())

    def other_box(self, target: Target) -> View:
        """See `AttackContract.other_box`."""
        return WhiteBox(ReferenceTarget(target.network))

    def invert_within(self, budget: int, spent: int = 0) -> tuple[Inversions, BlackBox]:
        """Runs the attack with `budget` queries, `spent` of which are gone when it begins."""
        with self.open() as target:
            view = self.view(target, budget=budget)
            box = self.attack.open_box(view)
            assert view.box is not None, "open_box of a black-box attack must open view.black_box()"
            if spent:
                view.box.query(np.zeros((1, spent, *box.input_shape)))
            return self.attack(box, classes=CLASSES, steps=STEPS, seed=0), view.box

    def test_small_budgets_give_the_best_so_far(self) -> None:
        """Too few queries: what they were good for, within the budget, and a status that says so."""
        needed = self.invert().queries
        for budget in sorted({1, 2, 10, 50, needed // 2} & set(range(1, needed))):
            inversions, box = self.invert_within(budget)
            assert_well_formed(inversions, self.shapes())
            assert inversions.status is Status.BUDGET_SPENT
            assert inversions.queries == box.spent <= budget

    def test_spent_budget_gives_a_guess(self) -> None:
        """With nothing left to ask, an inversion all the same, and no query."""
        inversions, box = self.invert_within(5, spent=5)
        assert_well_formed(inversions, self.shapes())
        assert inversions.status is Status.BUDGET_SPENT
        assert inversions.queries == 0
        assert box.spent == 5

    def test_the_exact_budget_is_enough(self) -> None:
        """A budget of exactly what an unmetered run took changes nothing; one query less cuts it short."""
        free = self.invert()
        exact, _ = self.invert_within(free.queries)
        short, _ = self.invert_within(free.queries - 1)
        assert_same(free, exact)
        assert short.status is Status.BUDGET_SPENT

    def test_spends_at_most_the_planned_queries(self) -> None:
        """`planned_queries` is what an unmetered run asks at most; `within` plans no more than its budget."""
        planned = self.attack.planned_queries(len(CLASSES))
        if planned is None:
            return
        assert self.invert().queries <= planned
        for budget in (planned // 2, planned, 3 * planned):
            fitted = self.attack.within(budget, len(CLASSES))
            assert type(fitted) is type(self.attack)
            assert (fitted.planned_queries(len(CLASSES)) or 0) <= max(budget, planned // 2)

    def test_stops_on_request(self) -> None:
        """StopAttack from `progress` ends the attack, which returns what it has."""

        def stop(done: int, total: int) -> None:
            raise StopAttack

        inversions = self.invert(progress=stop)
        assert_well_formed(inversions, self.shapes())
        assert inversions.status in (Status.STOPPED, Status.COMPLETED)

    def test_works_with_every_answer_it_declares(self) -> None:
        """Each of its `reveals` is enough to run to the end."""
        for reveals in self.attack.reveals:
            with self.open() as target, ReferenceTarget(target.network) as open_target:
                box = self.attack.open_box(self.view(open_target, reveals))  # type: ignore[arg-type]  # one of REVEALS
                inversions = self.attack(box, classes=CLASSES, steps=STEPS, seed=0)
            assert_well_formed(inversions, box)
            assert inversions.status is Status.COMPLETED
