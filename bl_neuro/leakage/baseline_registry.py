"""Finds zero-query baselines by name."""

from __future__ import annotations

from bl_neuro.leakage.baseline_kind import Baseline
from bl_neuro.registries import KINDS
from bl_neuro.registry import Registry

PRIOR = "prior"
"""The baseline of an attack's prior: the same attack on a target without information about the classes."""
PRIOR_TITLE = "the attack’s prior"
PRIOR_KNOWLEDGE = "what the attack assumes about pictures, and nothing about the target"

BASELINES: Registry[Baseline] = Registry(
    noun="baseline",
    group=KINDS["baselines"].group,
    base="bl_neuro.leakage.baseline_kind:Baseline",
    ours=KINDS["baselines"].ours,
    reserved={PRIOR: "the same attack on a target without information"},
)
