from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2
from bl_neuro.testing.attack_contract import BlackBoxAttackContract, WhiteBoxAttackContract


class TestBrainLeaksV1(WhiteBoxAttackContract):
    attack = BrainLeaksV1()


class TestBrainLeaksV2(BlackBoxAttackContract):
    attack = BrainLeaksV2()


class TestBrainLeaksV2WithoutWarmStart(BlackBoxAttackContract):
    attack = BrainLeaksV2(warm_start=0, queries=36, population=8)


class TestBrainLeaksV2WarmStartOnly(BlackBoxAttackContract):
    attack = BrainLeaksV2(warm_start=64, queries=0)
