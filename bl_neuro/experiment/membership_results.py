"""Computes the cell "membership": all attacks on one deployment, with intervals over targets and pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from bl_neuro.arrays import FloatArray
from bl_neuro.experiment.membership_measures import MembershipMeasures, SeparationMeasures
from bl_neuro.leakage.bootstrap import Estimate
from bl_neuro.leakage.crossed import Crossed, pool_weights, shadow_overlap
from bl_neuro.leakage.membership_attacks import (
    WITHOUT_SHADOWS,
    Answers,
    TargetResult,
    attack_each,
    crossed_measure,
    mean_curve,
)

POINTS = 33
"""Number of points of a stored ROC curve, equally spaced on a logarithmic axis from one non-member to all."""
AUC, TPR_AT_01, TPR_AT_1, BALANCED = range(4)


def attacked(
    networks: Answers, targets: int, attacks: list[str], queries: int
) -> tuple[MembershipMeasures, dict[str, FloatArray]]:
    """The measures of all attacks, and for each the values (N, 4) and resampled values (N, R, 4) of its targets.

    networks: the targets, followed by shadow networks that were trained with other settings, if any.
    """
    every = np.arange(len(networks.members))
    own, wrong = networks.without(*every[targets:]), networks.without(*every[:targets])
    samples = networks.members.shape[1]
    weights, measured, tensors = pool_weights(samples), [], {}
    for shadows, answers in (("right", None), ("wrong", wrong)):
        if answers is not None and len(answers.members) == 0:
            continue
        for attack in attacks:
            if answers is not None and attack in WITHOUT_SHADOWS:
                continue
            results = list(attack_each(attack, own, weights, answers))
            measured.append(_measured(attack, shadows, results, samples))
            tensors[f"{shadows}.{attack}.values"] = np.stack([result.measures for result in results])
            tensors[f"{shadows}.{attack}.resampled"] = np.stack([result.resampled for result in results])
    return MembershipMeasures(samples=samples, queries=queries, attacks=measured), tensors


def _measured(attack: str, shadows: str, results: list[TargetResult], samples: int) -> SeparationMeasures:
    values = np.stack([result.measures for result in results])
    resampled = np.stack([result.resampled for result in results])
    null = np.stack([result.null for result in results])
    null_resampled = np.stack([result.null_resampled for result in results])
    points = np.geomspace(2 / samples, 1, POINTS)
    overlap = shadow_overlap(len(results)) if shadows == "right" and attack not in WITHOUT_SHADOWS else 0.0
    epsilons = np.array([result.epsilon for result in results])
    return SeparationMeasures(
        attack=attack,
        shadows=shadows,
        targets=len(results),
        auc=_interval(crossed_measure(values, resampled, AUC, samples, overlap).estimate),
        tpr_at_01=_interval(crossed_measure(values, resampled, TPR_AT_01, samples, overlap).estimate),
        tpr_at_1=_interval(crossed_measure(values, resampled, TPR_AT_1, samples, overlap).estimate),
        balanced_accuracy=_interval(crossed_measure(values, resampled, BALANCED, samples, overlap).estimate),
        null_auc=_interval(crossed_measure(null, null_resampled, AUC, samples, overlap).estimate),
        null_tpr_at_1=_interval(crossed_measure(null, null_resampled, TPR_AT_1, samples, overlap).estimate),
        epsilon=_interval(_over_targets(epsilons, samples)),
        false=points.tolist(),
        true=mean_curve([result.curve for result in results], points).tolist(),
    )


def _over_targets(values: FloatArray, samples: int) -> Estimate:
    """Mean and Student's interval over targets alone."""
    return Crossed(values, np.tile(values, (2, 1)), samples).estimate


def _interval(estimate: Estimate) -> list[float]:
    return [estimate.value, estimate.low, estimate.high]


def save_results(tensors: dict[str, FloatArray], path: Path) -> None:
    """Writes the values of all targets, which comparisons of deployments pair."""
    kept = {name: np.ascontiguousarray(value, dtype=np.float64) for name, value in tensors.items()}
    save_file(kept, path)


def read_crossed(path: Path, shadows: str, attack: str, measure: int, samples: int) -> Crossed:
    """One measure of one attack from the file of a cell."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        values: FloatArray = file.get_tensor(f"{shadows}.{attack}.values")
        resampled: FloatArray = file.get_tensor(f"{shadows}.{attack}.resampled")
    return crossed_measure(values, resampled, measure, samples)
