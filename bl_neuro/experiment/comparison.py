"""Several audits beside each other, JSON-ready: rows of the same name, and verdicts where inversions pair."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.findings.estimates import MEASURES, Count, Estimate, Measure, Number, Part, Verdict
from bl_neuro.experiment.findings.models import AuditCell, AuditResults, AuditRow
from bl_neuro.experiment.findings.verdicts import finite
from bl_neuro.leakage import PairVerdict, pair_verdicts
from bl_neuro.report.words import listed, many, points


class RunFacts(Part):
    """One run: its name here, its audit, and how much of it is done."""

    name: str
    audit: str
    dataset: str
    seeds: list[Count]
    cells: dict[str, Count]


class Setting(Part):
    """Something in which runs differ, and what it is in each, in the order of the runs; null where it is not there."""

    name: str
    values: list[str | None]


class RunRow(Part):
    """The rows of one name: target, substrate, attack and view, under one evaluator, in the order of the runs."""

    target: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    estimates: list[Estimate | None] = Field(description="Attack accuracy; null where a run has no such row.")


class Side(Part):
    """A row of a run."""

    run: str
    substrate: str


class RunComparison(Part):
    """Two rows of two runs. verdict: of first less second; null where they do not pair, and `why` says why not."""

    target: str
    attack: str
    reveals: str
    evaluator: str
    measure: Measure
    first: Side
    second: Side
    inversions: Count = Field(description="That both have: same target seed, class and restart.")
    verdict: Verdict | None
    sentence: str | None
    why: str | None


class ComparedRuns(Part):
    """What a comparison of runs found."""

    format: Literal["bl-neuro/audit-comparison/1"] = "bl-neuro/audit-comparison/1"
    margin: Number
    runs: list[RunFacts] = Field(min_length=2)
    settings: list[Setting]
    rows: list[RunRow]
    comparisons: list[RunComparison]

    @property
    def judge(self) -> str | None:
        """The evaluator that comparisons begin with."""
        return self.comparisons[0].evaluator if self.comparisons else None

    def main(self) -> list[RunComparison]:
        """Comparisons of attack accuracy under the judge."""
        return [each for each in self.comparisons if each.measure == "hit" and each.evaluator == self.judge]

    def answer(self) -> str:
        """What came out, in a sentence or two."""
        paired = [each.verdict for each in self.main() if each.verdict is not None]
        alone = len(self.main()) - len(paired)
        if not paired:
            return "No two rows of these runs pair, so that there is no verdict: the reasons are told row by row."
        same = sum(each.identical for each in paired)
        kinds = {
            f"{same} {'is' if same == 1 else 'are'} identical": same,
            **{
                f"{count} {word}": count
                for word, kind in (("differ", "differs"), ("equivalent", "equivalent"), ("open", "inconclusive"))
                if (count := sum(each.verdict == kind and not each.identical for each in paired))
            },
        }
        said = listed([text for text, count in kinds.items() if count])
        rest = f" {many(alone, 'other comparison')} cannot be paired." if alone else ""
        margin = points(self.margin, False).removesuffix(".0")
        return f"Of {many(len(paired), 'paired comparison')}, {said}; the margin is {margin} points.{rest}"


MOST_BYTES = 2**28
"""Most that a results.json may be long."""
MOST_SETTINGS = 60
"""Differing settings that are told."""
OWN = ("trained", "given")
Inversion = tuple[int, int, int]
"""Target seed, class, restart."""
Values = dict[Inversion, dict[str, float]]
Paired = tuple[list[FloatArray], list[FloatArray]]


class Row(NamedTuple):
    """A row of a run, by its name."""

    target: str
    substrate: str
    attack: str
    reveals: str


class Pairing(NamedTuple):
    """Two rows of two runs under one evaluator."""

    evaluator: str
    first: tuple[str, Row]
    second: tuple[str, Row]


def read_results(path: Path) -> AuditResults:
    """The results in the folder of an audit, or in that file.

    Raises:
        ReportError: there are none, or they are damaged, too long or of another format.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ReportError(f"{file}: longer than {MOST_BYTES} bytes")
        text = file.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ReportError(f"{file}: {reason}; expected the folder of an audit that was run") from error
    try:
        return AuditResults.from_json(text)
    except ReportError as error:
        raise ReportError(f"{file}: {error}") from error


def compare_runs(runs: Mapping[str, AuditResults], margin: float | None = None) -> ComparedRuns:
    """The runs beside each other. margin: the least of theirs where None.

    Raises:
        InputError: fewer than two runs, or a margin that is none.
    """
    if len(runs) < 2:
        raise InputError(f"runs: expected two or more, found {len(runs)}")
    if margin is not None and not 0 < margin < 1:
        raise InputError(f"margin: expected between 0 and 1, found {margin}")
    chosen = min(run.margin for run in runs.values()) if margin is None else margin
    return ComparedRuns.model_validate(
        {
            "margin": chosen,
            "runs": [
                {"name": name, "audit": run.name, "dataset": run.dataset.name, "seeds": run.seeds, "cells": run.cells}
                for name, run in runs.items()
            ],
            "settings": _settings(runs),
            "rows": list(_rows(runs)),
            "comparisons": _comparisons(runs, chosen),
        }
    )


def _rows(runs: Mapping[str, AuditResults]) -> Iterator[dict[str, Any]]:
    """For each name of a row and evaluator, the estimate of each run."""
    tables = [{_name(row): row for row in run.rows} for run in runs.values()]
    evaluators = dict.fromkeys(each.name for run in runs.values() for each in run.evaluators)
    for name in dict.fromkeys(name for table in tables for name in table):
        for evaluator in evaluators:
            judged = [None if name not in table else table[name].evaluators.get(evaluator) for table in tables]
            if any(judged):
                estimates = [None if each is None else each.attack_accuracy for each in judged]
                yield {**name._asdict(), "evaluator": evaluator, "estimates": estimates}


def _name(row: AuditRow) -> Row:
    return Row(row.target, row.substrate, row.attack, row.reveals)


def _comparisons(runs: Mapping[str, AuditResults], margin: float) -> list[dict[str, Any]]:
    pairings = [each for one, other in combinations(runs, 2) for each in _pairings(runs, one, other)]
    tables = {name: _tables(run) for name, run in runs.items()}
    found = []
    for evaluator in dict.fromkeys(each.evaluator for each in pairings):
        own = [each for each in pairings if each.evaluator == evaluator]
        for measure in MEASURES:
            values = {each: _paired(tables, each, measure) for each in own if _unlike(runs, each) is None}
            verdicts = _verdicts({each: pair for each, pair in values.items() if pair[0]}, margin)
            for each in own:
                why = None if each in verdicts else _unlike(runs, each) or "no target seed, class and restart in common"
                found.append({**_told(each), "measure": measure, **_judged(verdicts.get(each)), "why": why})
    return found


def _verdicts(values: Mapping[Pairing, Paired], margin: float) -> dict[Pairing, PairVerdict]:
    """Judged together; pairings of equal values, as substrates that spike alike have them, count as one question."""
    if not values:
        return {}
    asked = {each: repr([[row.tolist() for row in side] for side in pair]) for each, pair in values.items()}
    verdicts = pair_verdicts({asked[each]: pair for each, pair in values.items()}, margin)
    return {each: verdicts[asked[each]] for each in values}


def _told(each: Pairing) -> dict[str, Any]:
    """What is held against what."""
    (one, row), (other, their) = each.first, each.second
    sides = {"first": {"run": one, "substrate": row.substrate}, "second": {"run": other, "substrate": their.substrate}}
    view = {"target": row.target, "attack": row.attack, "reveals": row.reveals}
    return {**view, "evaluator": each.evaluator, **sides}


def _judged(verdict: PairVerdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"inversions": 0, "verdict": None, "sentence": None}
    return {"inversions": verdict.difference.n, "verdict": finite(asdict(verdict)), "sentence": verdict.sentence}


def _pairings(runs: Mapping[str, AuditResults], one: str, other: str) -> Iterator[Pairing]:
    """Rows of two runs that are held against each other: of one substrate, or, where they share none, of any two."""
    first, second = ([_name(row) for row in runs[name].rows if row.target in OWN] for name in (one, other))
    evaluators = [each.name for each in runs[one].evaluators]
    evaluators = [name for name in evaluators if any(each.name == name for each in runs[other].evaluators)]
    for evaluator in evaluators:
        for view in dict.fromkeys(row._replace(substrate="") for row in first):
            mine, theirs = ([row for row in rows if row._replace(substrate="") == view] for rows in (first, second))
            shared = [row for row in mine if row in theirs]
            pairs = [(row, row) for row in shared] or [(row, their) for row in mine for their in theirs]
            for row, their in pairs:
                yield Pairing(evaluator, (one, row), (other, their))


def _unlike(runs: Mapping[str, AuditResults], each: Pairing) -> str | None:
    """Why two rows cannot be paired, as far as that is known without their inversions."""
    first, second = (runs[side[0]] for side in (each.first, each.second))
    if first.dataset.name != second.dataset.name or first.dataset.class_names != second.dataset.class_names:
        return "another dataset"
    one, other = (next(judge for judge in run.evaluators if judge.name == each.evaluator) for run in (first, second))
    if one.address == other.address or (one.weights is not None and one.weights == other.weights):
        return None
    return "another evaluator: trained in another way, or on other data"


def _tables(run: AuditResults) -> dict[tuple[Row, str], Values]:
    """Measures of each inversion, by row and evaluator."""
    tables: dict[tuple[Row, str], Values] = {}
    for cell in run.inversions:
        if cell.rung is None and cell.mitigation is None:
            for evaluator, judged in cell.evaluators.items():
                key = (Row(cell.target, cell.substrate, cell.attack, cell.reveals), evaluator)
                tables.setdefault(key, {}).update(_values(cell, judged.hits, judged.confidence))
    return tables


def _values(cell: AuditCell, hits: Sequence[int], confidence: Sequence[float]) -> Values:
    return {
        (cell.seed, label, cell.restart): {"hit": float(hit), "confidence": sure}
        for label, hit, sure in zip(cell.classes, hits, confidence)
    }


def _paired(tables: Mapping[str, dict[tuple[Row, str], Values]], each: Pairing, measure: str) -> Paired:
    """Values of the inversions that both rows have, an array a target seed."""
    one, other = (tables[name].get((row, each.evaluator), {}) for name, row in (each.first, each.second))
    shared = sorted(one.keys() & other.keys())
    seeds = list(dict.fromkeys(seed for seed, _, _ in shared))
    first, second = (
        [np.array([values[key][measure] for key in shared if key[0] == seed]) for seed in seeds]
        for values in (one, other)
    )
    return first, second


def _settings(runs: Mapping[str, AuditResults]) -> list[dict[str, Any]]:
    """What the experiments' files and the versions say that is not the same in all runs."""
    versions = [{f"version of {name}": found for name, found in run.made.versions.items()} for run in runs.values()]
    flat = [{**_flat(run.experiment), **own} for run, own in zip(runs.values(), versions)]
    names = dict.fromkeys(name for each in flat for name in each)
    differ = [name for name in names if len({json.dumps(each.get(name)) for each in flat}) > 1]
    return [
        {"name": name, "values": [json.dumps(each[name]) if name in each else None for each in flat]}
        for name in differ[:MOST_SETTINGS]
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """A nested document as one table, by dotted names; lists of plain values stay whole."""
    if isinstance(value, dict) and value:
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        parts = {str(place): each for place, each in enumerate(value)}.items()
    else:
        return {name: value}
    return {k: v for key, each in parts for k, v in _flat(each, f"{name}.{key}" if name else str(key)).items()}
