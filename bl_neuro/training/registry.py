"""Finds evaluators by name."""

from __future__ import annotations

from bl_neuro.registry import Registry
from bl_neuro.training.image_evaluator import ImageEvaluator

EVALUATORS: Registry[ImageEvaluator] = Registry(
    noun="evaluator",
    group="bl_neuro.evaluators",
    base="bl_neuro.training.image_evaluator:ImageEvaluator",
    ours={
        "conv": "bl_neuro.training.conv_evaluator:ConvEvaluator",
        "spiking": "bl_neuro.training.spiking_evaluator:SpikingEvaluator",
        "authors": "bl_neuro.training.authors_evaluator:AuthorsEvaluator",
    },
)
