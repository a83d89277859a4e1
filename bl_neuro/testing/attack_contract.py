"""The contract suite of attacks: what every attack must do.

In your test module:

    class TestMyAttack(BlackBoxAttackContract):      # WhiteBoxAttackContract for an attack that needs gradients,
        attack = MyAttack()                          # AnnAttackContract for one on networks that do not spike

The suite reads the properties that the attack declares: its access, the outputs it can use, its presets and its planned
queries. Needs pytest. The attack runs on a small target without a framework; override `open` to use another target.
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
from bl_neuro.arrays import FloatArray
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
"""Pattern of names that are valid in experiment files."""
DECLARED = ("name", "title", "access", "needs", "reveals", "modules", "extra")
"""What an attack's class declares beside its settings."""


class ContractView:
    """The boxes of a target of the suite; see `TargetView`. `box`: the black box, once opened."""

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

    def auxiliary_images(self) -> FloatArray:
        """See `TargetView.auxiliary_images`: images in which one of three equal parts is bright."""
        inputs = self._target.network.input_shape
        shape = inputs if len(inputs) == 3 else (1, 1, *inputs)
        rng = np.random.default_rng(0)
        lit = np.arange(np.prod(shape)) * 3 // int(np.prod(shape)) == rng.integers(3, size=(32, 1))
        return np.asarray((lit * rng.uniform(0.5, 1.0, lit.shape)).reshape(32, *shape))

    def ann_box(self) -> AnnBox:
        """See `TargetView.ann_box`."""
        return AnnBox(self._target)


class AttackContract:
    """What attacks of all kinds must do. Subclass one of the classes below, which open the right box."""

    attack: ClassVar[Attack[Any]]

    def open(self) -> AbstractContextManager[Any]:
        """A new target with at least three classes, differentiable if the attack needs gradients."""
        return ReferenceTarget(easy_network())

    def view(self, target: Any, reveals: Reveals | None = None, budget: int | None = None) -> ContractView:
        """The `TargetView` of `target`."""
        usable: Any = "counts" if "counts" in self.attack.reveals else self.attack.reveals[0]
        return ContractView(target, reveals or usable, budget)

    def box(self, target: Any) -> View:
        """The box of `target` that the attack takes."""
        box: View = self.attack.open_box(self.view(target))
        return box

    def other_box(self, target: Any) -> View:
        """A box of `target` of another kind."""
        raise NotImplementedError

    def samples(self, target: Any) -> int:
        """Number of samples that `target` has run."""
        return int(target.samples)

    def weights(self, target: Any) -> str:
        """A value that changes if anything in `target` changes."""
        return recomputed_fingerprint(target.network)

    def shapes(self) -> View:
        """Input shape and number of classes of a new target."""
        with self.open() as target:
            return self.box(target)

    def invert(self, **changes: Any) -> Inversions:
        """Runs the attack on a new target."""
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
        """It inverts exactly the given classes, in the given order and with repetitions, from any iterable."""
        assert self.invert(classes=iter([2, 0, 2])).classes.tolist() == [2, 0, 2]
        assert self.invert(classes=np.array([1])).classes.tolist() == [1]

    @pytest.mark.parametrize("classes", [[], [3], [-1], [0.5], [True], ["0"], [None], [float("nan")], [[0, 1]], 2])
    def test_refuses_unknown_classes(self, classes: Any) -> None:
        """An error is raised before anything runs."""
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
        """Asserts that these arguments raise an error and that nothing ran."""
        with self.open() as target:
            with pytest.raises(InputError, match=next(iter(changes))):
                self.attack(self.box(target), **{"classes": CLASSES, "steps": STEPS, "seed": 0, **changes})
            assert self.samples(target) == 0

    def test_refuses_a_box_of_another_access(self) -> None:
        """Attacks reject boxes of another kind, and targets without a box."""
        with self.open() as target:
            for wrong in (self.other_box(target), target):
                with pytest.raises(InputError, match="expected a"):
                    self.attack(wrong, classes=CLASSES, steps=STEPS)
            assert self.samples(target) == 0

    def test_leaves_global_state_unchanged(self) -> None:
        """The network and all global random generators are unchanged."""
        with self.open() as target:
            before = self.weights(target)
            states = global_chance()
            self.attack(self.box(target), classes=CLASSES, steps=STEPS, seed=0)
            assert self.weights(target) == before
            assert global_chance() == states

    def test_is_a_frozen_strategy(self) -> None:
        """The attack is a frozen dataclass: equal if its fields are equal, and unchanged by a run."""
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
        """A setting of the wrong type raises an InputError that names the setting."""
        attack: Any = self.attack
        for field in dataclasses.fields(attack):
            with pytest.raises(InputError, match=field.name):
                dataclasses.replace(attack, **{field.name: object()})

    def test_refuses_a_target_of_one_class(self) -> None:
        """A target with one class has no other class to distinguish it from."""
        if self.attack.access == "ann":
            return
        one = Network((12,), [Dense(np.ones((1, 12)), CubaLIF())])
        with ReferenceTarget(one) as target, pytest.raises(InputError, match="at least two classes"):
            self.attack(self.box(target), classes=[0], steps=STEPS)


class WhiteBoxAttackContract(AttackContract):
    """What attacks on a differentiable target must do."""

    def other_box(self, target: Target) -> View:
        """See `AttackContract.other_box`."""
        return BlackBox(target)

    def test_a_class_comes_out_the_same_alone(self) -> None:
        """Classes have separate random numbers, so inverting them together or separately gives the same."""
        together = self.invert(classes=[1, 2, 1], seed=3)
        for label, columns in ((1, [0, 2]), (2, [1])):
            alone = self.invert(classes=[label] * len(columns), seed=3)
            assert torch.equal(together.spikes[:, columns], alone.spikes)


class AnnAttackContract(WhiteBoxAttackContract):
    """What attacks on a network that does not spike must do."""

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
    """What attacks that query the target must do, with or without a copy of it. They must make at least two queries."""

    def open(self) -> AbstractContextManager[Any]:
        """See `AttackContract.open`."""
        return SpikesOnlyTarget(easy_network())

    def other_box(self, target: Target) -> View:
        """See `AttackContract.other_box`."""
        return WhiteBox(ReferenceTarget(target.network))

    def invert_within(self, budget: int, spent: int = 0) -> tuple[Inversions, BlackBox]:
        """Runs the attack with `budget` queries, of which `spent` are spent at the start."""
        with self.open() as target:
            view = self.view(target, budget=budget)
            box = self.attack.open_box(view)
            assert view.box is not None, "open_box of a black-box attack must open view.black_box()"
            if spent:
                view.box.query(np.zeros((1, spent, *box.input_shape)))
            return self.attack(box, classes=CLASSES, steps=STEPS, seed=0), view.box

    def test_small_budgets_give_the_best_so_far(self) -> None:
        """With too few queries, the result so far is returned, with a status that says so."""
        needed = self.invert().queries
        for budget in sorted({1, 2, 10, 50, needed // 2} & set(range(1, needed))):
            inversions, box = self.invert_within(budget)
            assert_well_formed(inversions, self.shapes())
            assert inversions.status is Status.BUDGET_SPENT
            assert inversions.queries == box.spent <= budget

    def test_spent_budget_gives_a_guess(self) -> None:
        """Without any queries left, the attack still returns inversions and makes no query."""
        inversions, box = self.invert_within(5, spent=5)
        assert_well_formed(inversions, self.shapes())
        assert inversions.status is Status.BUDGET_SPENT
        assert inversions.queries == 0
        assert box.spent == 5

    def test_the_exact_budget_is_enough(self) -> None:
        """A budget of exactly the queries of an unlimited run changes nothing; one query less ends it early."""
        free = self.invert()
        exact, _ = self.invert_within(free.queries)
        short, _ = self.invert_within(free.queries - 1)
        assert_same(free, exact)
        assert short.status is Status.BUDGET_SPENT

    def test_spends_at_most_the_planned_queries(self) -> None:
        """An unlimited run makes at most `planned_queries`; `within` plans at most its budget."""
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
