"""Computes the cells of `[membership]`; in "membership", all attacks on one deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from bl_neuro.arrays import FloatArray
from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.cell_tools import Made, Tools
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.measures import TwinMeasures
from bl_neuro.experiment.membership_measures import MembershipMeasures, SeparationMeasures
from bl_neuro.experiment.membership_replays import replayed
from bl_neuro.experiment.membership_work import (
    answers,
    answers_of_twin,
    gathered_answers,
    member_measures,
    pool_of,
    save_answers,
    trained_twin,
)
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
from bl_neuro.model_file import save
from bl_neuro.training import load_ann_twin

POINTS = 33
"""Number of points of a stored ROC curve, equally spaced on a logarithmic axis from one non-member to all."""
AUC, TPR_AT_01, TPR_AT_1, BALANCED = range(4)


def membership_makers(tools: Tools) -> dict[str, Callable[[Cell], Made]]:
    """The function that computes each kind of cell."""

    def member(cell: Cell) -> Made:
        network = tools.network(cell)
        return member_measures(cell, network, tools.material), lambda path: save(network, path)

    def member_twin(cell: Cell) -> Made:
        twin = trained_twin(cell, tools.material, tools.checkpoint(cell))
        return TwinMeasures(architecture=twin.architecture), twin.save

    def answered(cell: Cell) -> Made:
        if cell.definition["substrate"] == ANN:
            measures, values = answers_of_twin(cell, load_ann_twin(tools.file(cell.needs[0])), tools.material)
            return measures, lambda path: save_answers(values, path)
        target = tools.opened(cell, cell.definition["target"], cell.definition["substrate"])
        measures, values = answers(cell, target, tools.material)
        return measures, lambda path: save_answers(values, path)

    def membership(cell: Cell) -> Made:
        first = cell.needs[0].definition
        labels = pool_of(tools.material, first["pool"], first["pool_seed"]).labels
        files = [tools.file(one) for one in cell.needs]
        gathered = Answers(*gathered_answers(cell.needs, files, cell.definition["reveals"], labels))
        queries = first["ask"]["count"] * len(labels)
        measures, tensors = attacked(gathered, cell.definition["targets"], cell.definition["attacks"], queries)
        return measures, lambda path: save_results(tensors, path)

    return {
        "member": member,
        "member_twin": member_twin,
        "answers": answered,
        "member_replay": lambda cell: (replayed(cell, tools), None),
        "membership": membership,
    }


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
    for shadows, attackers in (("right", None), ("wrong", wrong)):
        if attackers is not None and len(attackers.members) == 0:
            continue
        for attack in attacks:
            if attackers is not None and attack in WITHOUT_SHADOWS:
                continue
            results = list(attack_each(attack, own, weights, attackers))
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
        tpr_at_01=_interval(crossed_measure(values, resampled, TPR_AT_01, samples, overlap).proportion),
        tpr_at_1=_interval(crossed_measure(values, resampled, TPR_AT_1, samples, overlap).proportion),
        balanced_accuracy=_interval(crossed_measure(values, resampled, BALANCED, samples, overlap).estimate),
        null_auc=_interval(crossed_measure(null, null_resampled, AUC, samples, overlap).estimate),
        null_tpr_at_1=_interval(crossed_measure(null, null_resampled, TPR_AT_1, samples, overlap).proportion),
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
