"""Mitigations: what a deployment can do against inversion, at its input, its network, its output or its budget.

    box = bl.BlackBox(target, reveals="scores", mitigation=OutputNoise(0.1), seed=3)

The attacker gets what comes out, and so does every honest user: `BlackBox.query` applies a mitigation to all queries,
and the accuracy that is left is measured through the same box (`access.named`).

    name            class           settings
    reveal          RevealLess      to        shows less: "label" in place of scores
    rounding        Rounding        step      shows whole multiples
    noise           OutputNoise     sd        adds normal noise to answers
    query_cap       QueryCap        queries   answers so many queries in all
    input_dropout   InputDropout    rate      leaves out input spikes
    weight_bits     WeightBits      bits      deploys coarser weights

An experiment names one by its name, with its settings beside it. Packages add others through the entry-point group
`bl_neuro.mitigations`; `bl_neuro.testing.mitigation_contract` is what each must pass.
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
