"""Every registered mitigation passes the contract suite."""

from __future__ import annotations

from bl_neuro.mitigations import (
    MITIGATIONS,
    InputDropout,
    OutputNoise,
    QueryCap,
    RevealLess,
    Rounding,
    WeightBits,
)
from bl_neuro.testing.mitigation_contract import MitigationContract


class TestRevealLess(MitigationContract):
    mitigation = RevealLess("label")


class TestRounding(MitigationContract):
    mitigation = Rounding(0.25)


class TestOutputNoise(MitigationContract):
    mitigation = OutputNoise(0.5)


class TestQueryCap(MitigationContract):
    mitigation = QueryCap(500)


class TestInputDropout(MitigationContract):
    mitigation = InputDropout(0.3)


class TestWeightBits(MitigationContract):
    mitigation = WeightBits(3)


def test_every_mitigation_of_ours_is_tested_here() -> None:
    suites = [suite for suite in MitigationContract.__subclasses__() if suite.__module__ == __name__]
    tested = {suite.mitigation.name for suite in suites}
    assert tested >= set(MITIGATIONS.ours)
