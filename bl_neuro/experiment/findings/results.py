"""An audit's results, whole: its summary, and for each cell what the evaluators said, as `results.json` holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.curves import course_curves
from bl_neuro.experiment.findings.models import AuditResults
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.store import Result, Store

ROW = ("target", "substrate", "attack", "reveals")
FURTHER = ("ladder", "power", "mitigations", "replays", "verification", "controls")
"""What a summary holds where its experiment asks for it."""
Measures = dict[str, dict[str, Any]]


def audit_results(
    experiment: Experiment, material: Material, cells: Sequence[Cell], store: Store, summary: dict[str, Any]
) -> AuditResults:
    """The results of `experiment` as far as its cells are done; `summary` as the audit wrote it."""
    kept = {cell.address: store.read(cell.address) for cell in cells}
    measures = {address: result.measures for address, result in kept.items() if result is not None}
    return AuditResults.model_validate(
        {
            "name": experiment.name,
            "description": experiment.description,
            "dataset": {
                "name": material.name,
                "class_names": list(material.split.target.class_names),
                "inverted": material.classes,
                "shape": list(material.shape),
            },
            "margin": experiment.margin,
            "steps": _steps(cells),
            "seeds": experiment.target_seeds,
            "experiment": summary["experiment"],
            "cells": summary["cells"],
            "evaluators": [_evaluator(cell, kept[cell.address]) for cell in cells if cell.kind == "evaluator"],
            "rows": [_row(row, cells, measures) for row in summary["rows"]],
            "verdicts": summary["verdicts"],
            "alike": summary["alike"],
            **{name: summary.get(name) or [] for name in FURTHER},
            "arithmetic": summary["arithmetic"],
            "stands_for": summary.get("stands_for") or {},
            "curves": course_curves(cells, measures),
            "inversions": list(_inversions(cells, measures).values()),
            "overlap": material.overlap,
            "made": _made(store, list(measures)),
        }
    )


def _steps(cells: Sequence[Cell]) -> int:
    return next((int(cell.definition["steps"]) for cell in cells if cell.kind == "attack"), 0)


def _evaluator(cell: Cell, found: Result | None) -> dict[str, Any]:
    measures = {} if found is None else found.measures
    facts = {name: measures.get(name) for name in ("architecture", "accuracy", "samples")}
    file = None if found is None else found.tensors
    weights = None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
    return {
        "name": cell.facts["evaluator"],
        "address": cell.address,
        "weights": weights,
        **facts,
        "trained_on": cell.what.data,
    }


def _row(row: dict[str, Any], cells: Sequence[Cell], measures: Measures) -> dict[str, Any]:
    """With who its attacker is, as the first of its cells that is done says."""
    for cell in cells:
        found = measures.get(cell.address) if cell.kind == "attack" and cell.plain else None
        if found is not None and all(cell.facts.get(name) == row[name] for name in ROW):
            said = threat_model(found["access"], row["reveals"], found["assumptions"])
            return {**row, "access": found["access"], "threat_model": said}
    return {**row, "access": None, "threat_model": None}


def _inversions(cells: Sequence[Cell], measures: Measures) -> dict[str, dict[str, Any]]:
    """By the address of their attack: its cell, with what each evaluator said of it."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        done = measures.get(cell.address)
        if done is None:
            continue
        if cell.kind == "attack":
            shared = {name: done[name] for name in ("status", "queries", "target_answers")}
            classes = cell.definition["classes"]
            found[cell.address] = {
                "address": cell.address, **cell.facts, "classes": classes, **shared, "evaluators": {},
            }  # fmt: skip
        elif cell.kind == "judgement" and cell.needs[0].address in found:
            said = {name: done[name] for name in ("hits", "confidence")}
            found[cell.needs[0].address]["evaluators"][cell.facts["evaluator"]] = said
    return found


def _made(store: Store, done: Sequence[str]) -> dict[str, Any]:
    """Where and with what the cells were done."""
    times = [found for address in done if (found := store.times(address))]
    versions: dict[str, set[str]] = {}
    for each in times:
        for package, version in each.get("versions", {}).items():
            versions.setdefault(package, set()).add(version)
    machines = {", ".join(str(value) for value in each.get("machine", {}).values()) for each in times}
    return {
        "command": store.command(),
        "versions": {package: sorted(versions[package]) for package in sorted(versions)},
        "machines": sorted(machines),
    }


def threat_model(access: str, reveals: str, assumptions: Sequence[str]) -> str:
    """Who the attacker of a row is, what they hold, see and take for granted."""
    assumed = f" Assumes that {' and that '.join(assumptions)}." if assumptions else ""
    if access == "white_box":
        return (
            "Holds the model file: runs the network at will, with its weights and the gradient of its "
            f"output membrane. Knows the input size and number of classes; has no training data.{assumed}"
        )
    shown = {
        "membrane": "the output membrane in every step",
        "scores": "a score for each class",
        "spikes": "every output spike",
        "counts": "how often each output neuron spiked",
        "label": "the name of the winning class",
    }[reveals]
    return (
        f"May only query the deployed network, and sees {shown}. Every query is counted. Knows the "
        f"input size and the number of classes; has no weights, gradients or training data.{assumed}"
    )
