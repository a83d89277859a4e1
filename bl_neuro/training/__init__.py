"""Training: the target under attack, and the evaluator that judges what the attack got."""

from bl_neuro.training.evaluator import ConvEvaluator, load_evaluator, train_evaluator
from bl_neuro.training.target import TargetPlan, measure_accuracy, train_target

__all__ = [
    "ConvEvaluator",
    "TargetPlan",
    "load_evaluator",
    "measure_accuracy",
    "train_evaluator",
    "train_target",
]
