"""What an audit found: rows by substrate, attack and what is revealed, and the verdicts that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bl_neuro.backends import find_backend
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.controls import control_findings
from bl_neuro.experiment.findings.ladder import ladder_findings
from bl_neuro.experiment.findings.mitigations import mitigation_findings
from bl_neuro.experiment.findings.power import power_findings
from bl_neuro.experiment.findings.records import Record, records
from bl_neuro.experiment.findings.replays import replay_findings, standins
from bl_neuro.experiment.findings.verdicts import substrate_verdicts
from bl_neuro.experiment.store import Store
from bl_neuro.leakage import Estimate, hit_bootstrap, seed_bootstrap

FORMAT = "bl-neuro/audit-summary/1"


def summarise(experiment: Experiment, cells: Sequence[Cell], store: Store) -> dict[str, Any]:
    """Everything measured so far, JSON-ready: equal for equal results, whatever they took."""
    measures = {cell.address: result.measures for cell in cells if (result := store.read(cell.address)) is not None}
    judged = records(cells, store)
    rows = [
        _row(
            group,
            [cell for cell in cells if _group(cell) == group],
            measures,
            judged,
            _accuracy(group, cells, measures),
        )
        for group in dict.fromkeys(_group(cell) for cell in cells)
        if group
    ]
    evaluators = {cell.facts["evaluator"]: measures.get(cell.address) for cell in cells if cell.kind == "evaluator"}
    stand = standins(cells, measures)
    compared, alike = substrate_verdicts(judged, experiment.margin, stand)
    told_apart = {name: found["classes"] for name, found in evaluators.items() if found is not None}
    return {
        "format": FORMAT,
        "experiment": experiment.model_dump(),
        "cells": {"planned": len(cells), "done": len(measures)},
        "evaluators": evaluators,
        "rows": rows,
        "verdicts": [each.as_json() for each in compared],
        "alike": [asdict(each) for each in alike],
        "ladder": ladder_findings(experiment, cells, judged),
        "power": power_findings(experiment, cells, judged),
        "mitigations": mitigation_findings(experiment, cells, measures, judged),
        "replays": replay_findings(cells, measures),
        "verification": [
            {"target": cell.facts["target"], "seed": cell.facts["seed"], **measures[cell.address]}
            for cell in cells
            if cell.kind == "verification" and cell.address in measures
        ],
        "arithmetic": _arithmetics(experiment),
        "stands_for": {each.substrate: each.of for each in stand},
        "controls": control_findings(judged, told_apart),
    }


def _arithmetics(experiment: Experiment) -> dict[str, str | None]:
    """What each substrate computes in; of an endpoint that is not known."""
    endpoints = {part.name for part in experiment.endpoints}
    names = dict.fromkeys([*experiment.substrates, *(part.substrate for part in experiment.replays)])
    return {name: None if name in endpoints else find_backend(name).arithmetic for name in names}


def _group(cell: Cell) -> tuple[Any, ...]:
    """What a row holds together; empty for a cell that is in no row."""
    if cell.kind not in ("attack", "judgement") or not cell.plain:
        return ()
    return tuple(cell.facts[name] for name in ("target", "substrate", "attack", "reveals"))


def _row(
    group: tuple[Any, ...],
    cells: list[Cell],
    measures: dict[str, dict[str, Any]],
    judged: list[Record],
    accuracy: dict[str, Any] | None,
) -> dict[str, Any]:
    attacks = [cell for cell in cells if cell.kind == "attack"]
    budget = attacks[0].definition["budget"]
    done = [(cell, measures[cell.address]) for cell in attacks if cell.address in measures]
    own = [each for each in judged if (each.target, each.substrate, each.attack, each.reveals) == group]
    own = [each for each in own if each.rung is None and each.mitigation is None]
    classes = len(attacks[0].definition["classes"])
    return {
        **dict(zip(("target", "substrate", "attack", "reveals"), group)),
        "cells": {"planned": len(attacks), "done": len(done)},
        "budget_per_class": None if budget is None else budget / classes,
        "queries_per_class": float(np.mean([found["queries"] / classes for _, found in done])) if done else None,
        "status": dict(sorted(Counter(found["status"] for _, found in done).items())),
        "target_accuracy": accuracy,
        "target_success": _success(done),
        "pearson_selectivity": _estimate([(cell.facts["seed"], found["pearson_selectivity"]) for cell, found in done]),
        "spike_density": float(np.mean([found["spike_density"] for _, found in done])) if done else None,
        "evaluators": {
            name: {
                "attack_accuracy": _hit_rate([(each.seed, [each.hit]) for each in own if each.evaluator == name]),
                "confidence": _estimate([(each.seed, [each.confidence]) for each in own if each.evaluator == name]),
            }
            for name in dict.fromkeys(each.evaluator for each in own)
        },
    }


def _accuracy(
    group: tuple[Any, ...], cells: Sequence[Cell], measures: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """Of the targets of a row on its substrate: mean, least and most over their seeds."""
    found = [
        measures[cell.address]["accuracy"]
        for cell in cells
        if cell.kind == "accuracy" and cell.plain and (cell.facts["target"], cell.facts["substrate"]) == group[:2]
        if cell.address in measures
    ]
    return {"value": float(np.mean(found)), "least": min(found), "most": max(found)} if found else None


def _success(done: list[tuple[Cell, dict[str, Any]]]) -> dict[str, Any] | None:
    """How often the target itself names the class; None where it shows no label."""
    if any(found["target_answers"] is None for _, found in done):
        return None
    return _hit_rate(
        [
            (
                cell.facts["seed"],
                [answer == label for answer, label in zip(found["target_answers"], cell.definition["classes"])],
            )
            for cell, found in done
        ]
    )


def _hit_rate(hits: list[tuple[int, list[Any]]]) -> dict[str, Any] | None:
    """`_estimate` of hits, which keeps an interval of some width where all are alike."""
    return _estimate(hits, hit_bootstrap)


def _estimate(
    values: list[tuple[int, list[Any]]], estimated: Callable[..., Estimate] = seed_bootstrap
) -> dict[str, Any] | None:
    """Mean and 95% interval over target seeds; None where there are no values."""
    by_seed: dict[int, list[float]] = {}
    for seed, each in values:
        by_seed.setdefault(seed, []).extend(float(value) for value in each)
    return asdict(estimated([by_seed[seed] for seed in sorted(by_seed)])) if by_seed else None
