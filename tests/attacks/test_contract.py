"""Every attack passes the suite that is shipped for attacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bl_neuro.attacks import (
    Attack,
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    Brep,
    BrepPrior,
    CmaEs,
    Gamin,
    GenerativePrior,
    GradientInversion,
    OnePlusOneEs,
    Preset,
    RandomSearch,
    TransferAttack,
)
from bl_neuro.backends import Target
from bl_neuro.testing.attack_contract import AnnAttackContract, BlackBoxAttackContract, WhiteBoxAttackContract
from bl_neuro.testing.reference_target import SpikesOnlyTarget, easy_images


class TestBrainLeaksV1(WhiteBoxAttackContract):
    attack = BrainLeaksV1()


class TestBrainLeaksV1ForEvents(WhiteBoxAttackContract):
    attack = BrainLeaksV1.for_events(objective="spikes")


class TestBrainLeaksV2Gradient(WhiteBoxAttackContract):
    attack = BrainLeaksV2Gradient()


class TestBrainLeaksV2GradientForEvents(WhiteBoxAttackContract):
    attack = BrainLeaksV2Gradient.for_nmnist(time_blur=1.0)


class TestGradientInversion(AnnAttackContract):
    attack = GradientInversion()


class TestBrainLeaksV2(BlackBoxAttackContract):
    attack = BrainLeaksV2()


class TestBrainLeaksV2WithoutWarmStart(BlackBoxAttackContract):
    attack = BrainLeaksV2(warm_start=0, queries=36, population=8)


class TestBrainLeaksV2WarmStartOnly(BlackBoxAttackContract):
    attack = BrainLeaksV2(warm_start=64, queries=0)


class OnImages(BlackBoxAttackContract):
    def open(self) -> Target:
        return SpikesOnlyTarget(easy_images())


class TestBrainLeaksV2OnWhatMoves(OnImages):
    attack = BrainLeaksV2.for_nmnist(warm_start=60, queries=40)


class TestBrainLeaksV2InTime(OnImages):
    attack = BrainLeaksV2.for_events(warm_start=60, queries=40)


class TestRandomSearch(BlackBoxAttackContract):
    attack = RandomSearch(queries=40, warm_start=60)


class TestOnePlusOneEs(BlackBoxAttackContract):
    attack = OnePlusOneEs(queries=40, warm_start=60)


class TestOnePlusOneEsWithoutWarmStart(BlackBoxAttackContract):
    attack = OnePlusOneEs(queries=40, warm_start=0, population=3)


class TestCmaEs(BlackBoxAttackContract):
    attack = CmaEs(queries=40, warm_start=60)

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("cmaes")


class TestGamin(BlackBoxAttackContract):
    attack = Gamin(queries=24, updates=3)


class TestGenerativePrior(BlackBoxAttackContract):
    attack = GenerativePrior(queries=24, warm_start=20, population=6, hidden=8, training_steps=3)

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("cmaes")


class TestBrep(BlackBoxAttackContract):
    attack = Brep(queries=24, warm_start=20, points=5)


class TestBrepPrior(BlackBoxAttackContract):
    attack = BrepPrior(queries=24, warm_start=20, points=5, hidden=8, training_steps=3)


class TestTransferAttack(BlackBoxAttackContract):
    attack = TransferAttack(attack=BrainLeaksV1(iterations=2), candidates=20)


def attack_that(**facts: Any) -> type[Attack[Any]]:
    """A copy of an attack whose class declares this instead."""

    @dataclass(frozen=True, kw_only=True)
    class Odd(RandomSearch):
        pass

    for name, value in facts.items():
        setattr(Odd, name, value)
    return Odd


@dataclass(frozen=True, kw_only=True)
class AnnotatedName(RandomSearch):
    name: str = "annotated"  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (AnnotatedName, "name: a setting, since it is annotated"),
        (attack_that(name=None), "name: expected a string"),
        (attack_that(name="two words"), "name: expected letters"),
        (attack_that(access="blackbox"), "access: expected one of white_box, black_box, ann, found 'blackbox'"),
        (attack_that(reveals="scores"), "reveals: expected a tuple of one or more of membrane"),
        (attack_that(reveals=("score",)), "reveals: expected a tuple of one or more of membrane"),
        (attack_that(reveals=()), "reveals: expected a tuple of one or more of membrane"),
    ],
)
def test_the_suite_says_what_is_declared_wrongly(kind: type[Attack[Any]], message: str) -> None:
    suite = BlackBoxAttackContract()
    suite.attack = kind()  # type: ignore[misc]  # as a subclass has it
    with pytest.raises(AssertionError, match=message):
        suite.test_declares_its_access_and_settings()


@pytest.mark.parametrize(
    ("presets", "message"),
    [
        ({"small": RandomSearch()}, r"presets: small: expected Preset\(make, purpose\)"),
        ({"small": Preset(RandomSearch, "")}, "presets: small: expected a purpose"),
        ({"two words": Preset(RandomSearch, "small")}, "presets: expected letters"),
    ],
)
def test_the_suite_says_how_presets_are_written(presets: dict[str, Any], message: str) -> None:
    suite = BlackBoxAttackContract()
    suite.attack = attack_that(presets=classmethod(lambda cls: presets))()  # type: ignore[misc]  # as a subclass has it
    with pytest.raises(AssertionError, match=message):
        suite.test_its_presets_are_attacks_of_its_kind()
