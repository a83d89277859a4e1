"""Measures of leakage: what an evaluator and the training data say of an inversion. Pure functions of arrays.

A target that is fooled has not leaked data: attack success (the target's own answer) is kept apart from these.
"""

from bl_neuro.leakage.intervals import mean_interval, proportion_interval
from bl_neuro.leakage.judgement import attack_accuracy, confidence, differential_accuracy, top_accuracy
from bl_neuro.leakage.resemblance import pearson_selectivity, structural_similarity
from bl_neuro.leakage.sparsity import spike_density

__all__ = [
    "attack_accuracy",
    "confidence",
    "differential_accuracy",
    "mean_interval",
    "pearson_selectivity",
    "proportion_interval",
    "spike_density",
    "structural_similarity",
    "top_accuracy",
]
