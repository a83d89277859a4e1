"""Every attack passes the suite that is shipped for attacks."""

from __future__ import annotations

import pytest

from bl_neuro.attacks import (
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    CmaEs,
    GradientInversion,
    OnePlusOneEs,
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


class TestTransferAttack(BlackBoxAttackContract):
    attack = TransferAttack(attack=BrainLeaksV1(iterations=2), candidates=20)
