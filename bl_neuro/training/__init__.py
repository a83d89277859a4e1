"""Trains targets, evaluators and ANN twins."""

from bl_neuro.training.ann_twin import AnnTwin, TwinPlan, load_ann_twin, train_ann_twin
from bl_neuro.training.authors_evaluator import AuthorsEvaluator
from bl_neuro.training.authors_target import AuthorsPlan, train_authors_target
from bl_neuro.training.authors_twin import AuthorsTwinPlan, train_authors_twin
from bl_neuro.training.checkpoint import Checkpoint
from bl_neuro.training.conv_evaluator import ConvEvaluator
from bl_neuro.training.evaluator import Evaluator, load_evaluator, train_evaluator
from bl_neuro.training.image_evaluator import EvaluatorSettings, ImageEvaluator, TrainingRun
from bl_neuro.training.normalised_evaluator import NormalisedEvaluator
from bl_neuro.training.plans import ConvSpec, TargetDesign, TargetPlan, plan_for
from bl_neuro.training.registry import EVALUATORS
from bl_neuro.training.slayer_target import train_slayer_target
from bl_neuro.training.spiking_evaluator import SpikingEvaluator
from bl_neuro.training.target import Lot, measure_accuracy, train_target, train_targets
from bl_neuro.training.trainers import TARGET_TRAINERS, TWIN_TRAINERS

__all__ = [
    "EVALUATORS",
    "TARGET_TRAINERS",
    "TWIN_TRAINERS",
    "AnnTwin",
    "AuthorsEvaluator",
    "AuthorsPlan",
    "AuthorsTwinPlan",
    "Checkpoint",
    "ConvEvaluator",
    "ConvSpec",
    "Evaluator",
    "EvaluatorSettings",
    "ImageEvaluator",
    "Lot",
    "NormalisedEvaluator",
    "SpikingEvaluator",
    "TargetDesign",
    "TargetPlan",
    "TrainingRun",
    "TwinPlan",
    "load_ann_twin",
    "load_evaluator",
    "measure_accuracy",
    "plan_for",
    "train_ann_twin",
    "train_authors_target",
    "train_authors_twin",
    "train_evaluator",
    "train_slayer_target",
    "train_target",
    "train_targets",
]
