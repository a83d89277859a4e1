"""Finds evaluators by name."""

from __future__ import annotations

from bl_neuro.registries import KINDS
from bl_neuro.registry import Registry
from bl_neuro.training.image_evaluator import ImageEvaluator

EVALUATORS: Registry[ImageEvaluator] = Registry(
    noun="evaluator",
    group=KINDS["evaluators"].group,
    base="bl_neuro.training.image_evaluator:ImageEvaluator",
    ours=KINDS["evaluators"].ours,
)
