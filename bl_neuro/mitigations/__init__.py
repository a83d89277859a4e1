"""Mitigations: defences of a deployment that change its inputs, network, outputs or query budget.

    box = bl.BlackBox(target, reveals="scores", mitigation=OutputNoise(0.1), seed=3)

`BlackBox.query` applies the mitigation to all queries, from attackers and from regular users. The remaining accuracy is
measured through the same box (`access.predicted_classes`).

    name            class           settings
    reveal          RevealLess      to        reveals less: "label" instead of scores
    rounding        Rounding        step      rounds answers to multiples
    noise           OutputNoise     sd        adds normal noise to answers
    query_cap       QueryCap        queries   limits the total number of queries
    input_dropout   InputDropout    rate      drops input spikes
    weight_bits     WeightBits      bits      rounds weights

An experiment refers to a mitigation by its name, with its settings beside it. Packages add mitigations through the
entry-point group `bl_neuro.mitigations`; they must pass `bl_neuro.testing.mitigation_contract`.
"""

from bl_neuro.mitigations.base import Mitigation
from bl_neuro.mitigations.input_dropout import InputDropout
from bl_neuro.mitigations.noise import OutputNoise
from bl_neuro.mitigations.query_cap import QueryCap
from bl_neuro.mitigations.registry import MITIGATIONS, make_mitigation
from bl_neuro.mitigations.reveal import RevealLess
from bl_neuro.mitigations.rounding import Rounding
from bl_neuro.mitigations.weight_bits import WeightBits

__all__ = [
    "MITIGATIONS",
    "InputDropout",
    "Mitigation",
    "OutputNoise",
    "QueryCap",
    "RevealLess",
    "Rounding",
    "WeightBits",
    "make_mitigation",
]
