"""The evaluators of an audit, and how good they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from bl_neuro.experiment.cells import Cell, content_address
from bl_neuro.experiment.findings.models import EvaluatorFacts
from bl_neuro.experiment.measures import EVALUATOR
from bl_neuro.experiment.store import Result
from bl_neuro.training.registry import EVALUATORS


def evaluator_facts(cells: Sequence[Cell], results: Mapping[str, Result]) -> list[EvaluatorFacts]:
    """Facts about each evaluator, in the order of the experiment; means where each target seed has its own."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.kind == "evaluator":
            groups.setdefault(cell.facts["evaluator"], []).append(cell)
    return [_facts(name, group, results) for name, group in groups.items()]


def _facts(name: str, cells: Sequence[Cell], results: Mapping[str, Result]) -> EvaluatorFacts:
    done = [results[cell.address] for cell in cells if cell.address in results]
    measured = [EVALUATOR.typed(result.measures) for result in done]
    thresholds = [one.rejects_below for one in measured if one.rejects_below is not None]
    files = [result.tensors for result in done if result.tensors is not None]
    weights = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    part = cells[0].what
    return EvaluatorFacts(
        name=name,
        address=cells[0].address if len(cells) == 1 else content_address([cell.address for cell in cells]),
        weights=_joined(weights) if len(weights) == len(cells) else None,
        architecture=measured[0].architecture if measured else None,
        accuracy=float(np.mean([one.accuracy for one in measured])) if measured else None,
        samples=min(one.samples for one in measured) if measured else None,
        trained_on=part.data,
        certain_by=EVALUATORS.find(part.kind).certain_by,
        rejects_below=float(np.mean(thresholds)) if thresholds else None,
        trained=len(cells),
    )


def _joined(digests: Sequence[str]) -> str:
    """The digest of one file, or one of the digests of several."""
    return digests[0] if len(digests) == 1 else content_address(list(digests))
