"""What the duration of a cell depends on: its workload, similar workloads, and an amount of work."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bl_neuro.experiment.cells import Cell, content_address
from bl_neuro.experiment.definition import EvaluatorPart
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.missing_material import MissingMaterial
from bl_neuro.training.plans import TargetDesign
from bl_neuro.training.registry import EVALUATORS

WITHOUT_EFFECT = frozenset(
    {"seed", "half", "box_seed", "pool_seed", "secret_seed", "split_seed", "format", "data", "class_map"}
)
"""Entries of definitions that do not change how long a cell takes."""
NETWORKS = ("target", "member", "secret_target")
ATTACKS = ("attack", "secret_attack")
TESTED = ("accuracy", "service", "secret_accuracy")
ADDRESS_LENGTH = 64


class CellCost(NamedTuple):
    """The workload of a cell: a digest that cells share that differ in seeds only.

    similar: names of groups of cells, from the most to the least similar. amount: within such a group, the duration is
    taken to be proportional to it.
    """

    workload: str
    similar: list[str]
    amount: float


def cell_cost(cell: Cell, material: Material) -> CellCost:
    """What the duration of `cell` depends on."""
    facts, used = cell.facts, (cell, *cell.needs)
    attack = next((one.definition["attack"] for one in used if one.kind in ATTACKS), None)
    evaluator = next((one.what.kind for one in used if isinstance(one.what, EvaluatorPart)), None)
    method, substrate, shown = facts.get("baseline") or attack, facts.get("substrate"), facts.get("reveals")
    groups = ((cell.kind, method, evaluator, substrate, shown), (cell.kind, method, evaluator), (cell.kind,))
    similar = list(dict.fromkeys(" ".join(str(name) for name in group if name is not None) for group in groups))
    return CellCost(content_address(_workload(cell, material)), similar, _amount(cell, material))


def _workload(cell: Cell, material: Material) -> dict[str, Any]:
    """The definition without seeds, with the workloads of other cells in place of their addresses."""
    needs = {need.address: need for need in cell.needs}

    def described(value: Any) -> Any:
        if isinstance(value, str) and len(value) == ADDRESS_LENGTH:
            return _workload(needs[value], material) if value in needs else None
        if isinstance(value, list):
            return [described(part) for part in value]
        if isinstance(value, Mapping):
            return {name: described(part) for name, part in value.items()}
        return value

    made = {name: described(value) for name, value in cell.definition.items() if name not in WITHOUT_EFFECT}
    if "fingerprint" in made and material.network is not None:
        made["fingerprint"] = [repr(layer) for layer in map(type, material.network.layers)], material.network.parameters
    return {**made, "samples": _samples(material), "shape": list(material.shape)}


def _amount(cell: Cell, material: Material) -> float:
    """A number that is about proportional to the operations of a cell; 1 where it is not known."""
    made, samples = cell.definition, _samples(material)
    inputs = float(np.prod(material.shape)) if material.shape else 1.0
    steps = float(made.get("steps") or getattr(cell.what, "steps", None) or 1)
    size = float(_parameters(cell, material) or 1)
    if cell.kind == "evaluator":
        epochs = float(made.get("epochs") or 1)
        spiking = EVALUATORS.find(cell.what.kind).spiking
        return samples.get("evaluator", 1) * inputs * epochs * (steps if spiking else 1.0)
    if cell.kind in NETWORKS and isinstance(cell.what, TargetDesign):
        proxy, spiking_epochs = getattr(cell.what, "proxy_epochs", 0), getattr(cell.what, "spiking_epochs", 1)
        return samples.get("target", 1) * size * (proxy + steps * spiking_epochs + 1.0)
    if cell.kind in TESTED:
        return samples.get("test", 1) * size * steps
    if cell.kind == "answers":
        return float(made.get("pool") or samples.get("all", 1)) * float(made["ask"]["count"]) * size * steps
    if cell.kind in (*ATTACKS, "replay"):
        first = cell.needs[-1] if cell.kind == "replay" else cell
        return _queries(first) * size * float(first.definition.get("steps") or 1)
    if cell.kind in ("judgement", "baseline_judgement"):
        return len(material.classes) * inputs
    return size * steps if cell.kind == "verification" else 1.0


def _queries(cell: Cell) -> float:
    """The budget of an attack, or the iterations of one without."""
    made, settings = cell.definition, cell.definition.get("settings") or {}
    rounds = made.get("budget") or settings.get("iterations") or settings.get("queries") or 1
    return float(rounds) * (1.0 if made.get("budget") else len(made.get("classes") or [1]))


def _parameters(cell: Cell, material: Material) -> int | None:
    """The number of weights of the network that a cell uses, about; None if it uses none."""
    if material.network is not None:
        return material.network.parameters
    if isinstance(cell.what, TargetDesign):
        sizes = [int(np.prod(material.shape)) if material.shape else 1, *cell.what.hidden, material.dataset_classes]
        return sum(before * after for before, after in pairwise(sizes))
    return next((size for need in cell.needs if (size := _parameters(need, material)) is not None), None)


def _samples(material: Material) -> dict[str, int]:
    """The number of samples in each part of the split; empty if the dataset is missing."""
    if isinstance(material, MissingMaterial):
        return {}
    return {**material.split.sizes(), "all": len(material.data.labels)}
