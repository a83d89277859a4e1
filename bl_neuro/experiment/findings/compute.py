"""Computes the contents of `results.json` from the cells of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bl_neuro.backends import find_backend
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.findings.baselines import baseline_findings, left_out_baselines, with_advantages
from bl_neuro.experiment.findings.controls import control_findings
from bl_neuro.experiment.findings.curves import course_curves
from bl_neuro.experiment.findings.estimates import Finding
from bl_neuro.experiment.findings.evaluators import evaluator_facts
from bl_neuro.experiment.findings.families import families_digest
from bl_neuro.experiment.findings.halfway import halfway_findings
from bl_neuro.experiment.findings.ladder import ladder_findings
from bl_neuro.experiment.findings.margins import unfinished_under
from bl_neuro.experiment.findings.membership import membership_findings
from bl_neuro.experiment.findings.mitigations import mitigation_findings
from bl_neuro.experiment.findings.models import (
    FORMAT,
    CellCount,
    DatasetFacts,
    Findings,
    Provenance,
)
from bl_neuro.experiment.findings.nearest_members import nearest_members_findings
from bl_neuro.experiment.findings.network import network_facts
from bl_neuro.experiment.findings.pictures import StoredPictures
from bl_neuro.experiment.findings.planned import planned_statistics
from bl_neuro.experiment.findings.records import records
from bl_neuro.experiment.findings.replays import identical_replays, replay_findings, stand_ins, verifications
from bl_neuro.experiment.findings.rows import audit_cells, audit_rows
from bl_neuro.experiment.findings.secrets import secrets_finding
from bl_neuro.experiment.findings.verdicts import substrate_verdicts
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import EVALUATOR, Measures
from bl_neuro.experiment.store import Store


def findings(experiment: Experiment, material: Material, cells: Sequence[Cell], store: Store) -> Findings:
    """The findings of `experiment` from its finished cells. Equal results give equal findings."""
    results = {cell.address: result for cell in cells if (result := store.read(cell.address)) is not None}
    measures = {address: result.measures for address, result in results.items()}
    judged = records(cells, store)
    replayed = identical_replays(cells, measures)
    word = "restart" if experiment.given else "seed"
    kinds = compared_arithmetics(experiment)
    planned = planned_statistics(experiment, material, cells, measures, judged, store, kinds)
    margins = {name: one.margin for name, one in planned.margins.items()}
    verdicts, alike = substrate_verdicts(judged, margins, stand_ins(replayed), word, kinds)
    rows = audit_rows(cells, measures, judged)
    baselines = baseline_findings(experiment, material, cells, measures, rows)
    rows = with_advantages(rows, baselines, unfinished_under(cells, measures))
    controls = control_findings(judged, _classes_told_apart(cells, measures))
    dataset = _dataset(material)
    return Findings(
        format=FORMAT,
        name=experiment.name,
        description=experiment.description,
        dataset=dataset,
        margin=next(iter(margins.values()), None),
        margins=list(planned.margins.values()),
        families=planned.families,
        families_digest=families_digest(planned.families),
        further_power=planned.further_power,
        steps=next((int(cell.definition["steps"]) for cell in cells if "steps" in cell.definition), 0),
        seeds=experiment.target_seeds,
        experiment=experiment.model_dump(mode="json"),
        cells=CellCount(planned=len(cells), done=len(measures)),
        evaluators=evaluator_facts(cells, results),
        rows=rows,
        baselines=baselines,
        baselines_left_out=left_out_baselines(experiment, material),
        auxiliary=None if material.auxiliary is None else material.auxiliary.sentence,
        verdicts=verdicts,
        alike=alike,
        ladder=ladder_findings(experiment, cells, judged, margins, word),
        power=planned.power,
        mitigations=mitigation_findings(experiment, cells, measures, judged, margins, word),
        replays=replay_findings(cells, measures),
        verification=verifications(cells, measures),
        arithmetic=_arithmetics(experiment),
        stands_for={cell.facts["substrate"]: cell.facts["of"] for cell in replayed},
        controls=controls,
        curves=course_curves(cells, measures),
        halfway=halfway_findings(cells, measures, judged, rows, controls, dataset.chance, margins, word, kinds),
        nearest_members=nearest_members_findings(material, cells, measures, StoredPictures(material, cells, store)),
        inversions=audit_cells(cells, measures),
        made=_provenance(store, list(measures)),
        overlap=material.overlap if experiment.evaluators else None,
        network=network_facts(material, cells, results),
        unit="restart" if experiment.given else "target seed",
        not_run={},
        membership=membership_findings(experiment, cells, measures, store, kinds),
        **_further(secrets=secrets_finding(experiment, material.dataset_classes, cells, measures, kinds)),
    )


def _further(**parts: Finding | None) -> dict[str, Any]:
    """The findings of optional parts of an experiment; those that it does not have are left out of the file."""
    return {name: part for name, part in parts.items() if part is not None}


def _dataset(material: Material) -> DatasetFacts:
    return DatasetFacts(
        name=material.name,
        class_names=list(material.split.target.class_names),
        inverted=material.classes,
        shape=list(material.shape),
        source=material.split.target.source,
    )


def _classes_told_apart(cells: Sequence[Cell], measures: Measures) -> dict[str, int]:
    """Number of classes of each finished evaluator."""
    return {cell.facts["evaluator"]: measured.classes for cell, measured in EVALUATOR.finished(cells, measures)}


def compared_arithmetics(experiment: Experiment) -> dict[str, str]:
    """The arithmetic of each substrate, for comparisons; that of an endpoint is unknown and has a name of its own."""
    return {name: kind or name for name, kind in _arithmetics(experiment).items()}


def _arithmetics(experiment: Experiment) -> dict[str, str | None]:
    """The arithmetic of each substrate; unknown for an endpoint."""
    endpoints = {part.name for part in experiment.endpoints}
    names = dict.fromkeys([*experiment.substrates, *(part.substrate for part in experiment.replays)])
    return {name: None if name in endpoints else find_backend(name).arithmetic for name in names}


def _provenance(store: Store, done: Sequence[str]) -> Provenance:
    """The machines, versions and command of the finished cells."""
    times = [store.times(address) for address in done]
    versions: dict[str, set[str]] = {}
    for recorded in times:
        for package, version in recorded.versions.items():
            versions.setdefault(package, set()).add(version)
    machines = {", ".join(recorded.machine.values()) for recorded in times if recorded.machine}
    restarted = [text for recorded in times for text in recorded.restarted]
    return Provenance(
        command=store.command(),
        versions={package: sorted(versions[package]) for package in sorted(versions)},
        machines=sorted(machines),
        **({"restarted": restarted} if restarted else {}),
    )
