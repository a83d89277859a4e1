"""Describes the attacked network and its training for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bl_neuro.experiment.cells import TRAINED, Cell
from bl_neuro.experiment.findings.models import NetworkFacts
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import TARGET
from bl_neuro.experiment.store import Result
from bl_neuro.model_file import load
from bl_neuro.training.plans import TargetDesign


def network_facts(material: Material, cells: Sequence[Cell], results: Mapping[str, Result]) -> NetworkFacts | None:
    """Facts about the first finished target; None if there is none, or for an endpoint, whose network is unknown."""
    done = [
        (cell, TARGET.typed(result.measures), result.tensors)
        for cell in cells
        if cell.kind == "target" and cell.facts["target"] in (TRAINED, "given")
        if (result := results.get(cell.address)) is not None and result.tensors is not None
    ]
    if not done:
        return None
    first, _, file = done[0]
    network = material.network or load(file)
    return NetworkFacts(
        layers=network.describe(),
        input_shape=list(network.input_shape),
        parameters=network.parameters,
        fingerprints=[str(measured.fingerprint) for _, measured, _ in done],
        encoder=material.encoder,
        training=_training(material, first.what) if first.facts["target"] == TRAINED else None,
    )


def _training(material: Material, plan: TargetDesign) -> str:
    """One sentence about the training of the targets."""
    kind = "recordings" if material.of_events else "images"
    return f"Each target was trained on {len(material.split.target.labels):,} {kind}{plan.described()}."
